import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

/** Where the corpus lies: `GOCKER_CORPUS`, or beside the repository. */
export const corpusRoot = process.env["GOCKER_CORPUS"] ?? resolve(import.meta.dir, "../../../shared/corpus");

/** Whether the corpus is there. Use it with `test.skipIf(!hasCorpus)`; the reason is printed once. */
export const hasCorpus = existsSync(join(corpusRoot, "README.md"));

if (!hasCorpus) console.warn(`corpus tests are skipped: ${corpusRoot} does not exist (set GOCKER_CORPUS)`);

/** The absolute path of a file of the corpus, such as `images/docker-pause-2.0.tar`. */
export function corpusPath(name: string): string {
  return join(corpusRoot, name);
}

/** The bytes of a file of the corpus. */
export async function corpusBytes(name: string): Promise<Uint8Array> {
  return await Bun.file(corpusPath(name)).bytes();
}

/** The text of a file of the corpus. */
export async function corpusText(name: string): Promise<string> {
  return await Bun.file(corpusPath(name)).text();
}

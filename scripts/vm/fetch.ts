/**
 * `bun scripts/vm/fetch.ts DIRECTORY PACKAGE`: makes a directory with what a machine with the kernel of that package
 * boots from. It is a program of its own, so that the folder's owner can run it and nothing in there comes to belong to
 * root.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { dirname, join } from "node:path";

import { bootModules, modulesInOrder } from "./modules.ts";

const [directory = "", kernelPackage = ""] = process.argv.slice(2);
// A Ctrl-C ends apt too, which is an error like others: what there is by then is removed.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
mkdirSync(dirname(directory), { recursive: true });
const temporary = await mkdtemp(join(dirname(directory), ".fetching-"));
try {
  const unpacked = join(temporary, "unpacked");
  await download([kernelPackage, "busybox-static"], unpacked);
  const result = join(temporary, "result");
  await collect(unpacked, result);
  // Last: its presence means that it is whole. Another one may have been quicker.
  if (!existsSync(directory)) renameSync(result, directory);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
} finally {
  rmSync(temporary, { recursive: true, force: true });
}

/** Downloads packages by apt, as it is set up here and as who this is, and unpacks them: nothing is installed. */
async function download(names: readonly string[], into: string): Promise<void> {
  await run(temporary, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", ...names);
  const archives = readdirSync(temporary).filter((name) => name.endsWith(".deb"));
  for (const archive of archives) await run(temporary, "dpkg-deb", "-x", archive, into);
}

/** Takes what is needed out of unpacked packages: the kernel, busybox, and modules that are named in order. */
async function collect(unpacked: string, into: string): Promise<void> {
  const [version = ""] = readdirSync(join(unpacked, "lib/modules"));
  mkdirSync(join(into, "modules"), { recursive: true });
  cpSync(join(unpacked, "boot", `vmlinuz-${version}`), join(into, "kernel"));
  cpSync(join(unpacked, "bin/busybox"), join(into, "busybox"));
  const inOrder = await modulesInOrder(bootModules, join(unpacked, "lib/modules", version));
  for (const [index, { name, bytes }] of inOrder.entries()) {
    writeFileSync(join(into, "modules", `${String(index).padStart(2, "0")}-${name}.ko`), bytes);
  }
}

async function run(cwd: string, ...words: string[]): Promise<void> {
  const child = Bun.spawn(words, { cwd, stdio: ["ignore", 2, 2] });
  if ((await child.exited) !== 0) throw new Error(`${words.join(" ")} failed`);
}

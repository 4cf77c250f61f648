import { statSync } from "node:fs";

/** Where programs of the host are looked for: PATH, which gocker's caller may have set, does not decide what runs. */
export const programDirectories = ["/usr/local/bin", "/usr/bin", "/bin"];

/** A program of the host's. */
export interface FoundProgram {
  readonly path: string;
  /** It is root's or the caller's own, and nobody else may change it. */
  readonly isTrusted: boolean;
}

/** The first program of a name in these directories; undefined when there is none. */
export function findProgram(
  name: string,
  directories: readonly string[] = programDirectories,
): FoundProgram | undefined {
  for (const directory of directories) {
    const path = `${directory}/${name}`;
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined || !found.isFile()) continue;
    const isOwned = found.uid === 0 || found.uid === process.geteuid?.();
    return { path, isTrusted: isOwned && (found.mode & 0o022) === 0 };
  }
  return undefined;
}

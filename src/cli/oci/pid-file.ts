import { statSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { UsageError } from "../../util/errors.ts";
import { writeFileAtomic } from "../../util/atomic-file.ts";

/**
 * Writes the number of a process where `--pid-file` says. Callers read it at once: it appears whole.
 * @throws UsageError it cannot be written
 */
export function writePidFile(path: string | undefined, pid: number): void {
  if (path === undefined || path === "") return;
  const found = statSync(path, { throwIfNoEntry: false });
  try {
    // What is no file, such as /dev/null or a pipe, is written to: a file in its place would be no help to anybody.
    if (found !== undefined && !found.isFile()) writeFileSync(path, String(pid));
    else writeFileAtomic(resolve(path), String(pid), { mode: 0o644 });
  } catch (error) {
    throw new UsageError(`the pid file ${path} cannot be written: ${(error as Error).message}`, { cause: error });
  }
}

import { resolve } from "node:path";
import { writeFileAtomic } from "../../util/atomic-file.ts";

/** Writes the number of a process where `--pid-file` says. Callers read it at once: it appears whole. */
export function writePidFile(path: string | undefined, pid: number): void {
  if (path !== undefined && path !== "") writeFileAtomic(resolve(path), String(pid), { mode: 0o644 });
}

import { closeSync, constants, openSync } from "node:fs";
import { systemCallError } from "./errno.ts";
import { libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

/** Brings everything that was written to the file system of this directory onto its disk. syncfs(2) */
export function syncFileSystem(directory: string): void {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const result = libc.syscall(syscallNumber("syncfs"), fd, 0, 0, 0, 0, 0);
    if (Number(result) === -1) throw systemCallError("syncfs", { path: directory });
  } finally {
    closeSync(fd);
  }
}

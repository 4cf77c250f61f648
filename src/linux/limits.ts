import { ptr } from "bun:ffi";
import { systemCallError } from "./errno.ts";
import { libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

/** The hard limit of open files of this process. prlimit(2) @throws SystemCallError */
export function hardFileLimit(): number {
  const openFiles = 7;
  const limits = new BigUint64Array(2);
  if (Number(libc.syscall(syscallNumber("prlimit64"), 0, openFiles, 0, ptr(limits), 0, 0)) < 0) {
    throw systemCallError("prlimit64");
  }
  return Number(limits[1]);
}

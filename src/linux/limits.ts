import { ptr } from "bun:ffi";
import { systemCallError } from "./errno.ts";
import { libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

const openFiles = 7;

/** The hard limit of open files of this process. @throws SystemCallError */
export function hardFileLimit(): number {
  return Number(hardLimit(openFiles));
}

/** A hard limit of this process, by the number of its RLIMIT_ name. prlimit(2) @throws SystemCallError */
export function hardLimit(resource: number): bigint {
  const limits = new BigUint64Array(2);
  if (Number(libc.syscall(syscallNumber("prlimit64"), 0, resource, 0, ptr(limits), 0, 0)) < 0) {
    throw systemCallError("prlimit64");
  }
  return limits[1] as bigint;
}

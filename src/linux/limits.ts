import { ptr } from "bun:ffi";
import { systemCallError } from "./errno.ts";
import { libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

const openFiles = 7;

/** The hard limit of open files of this process. @throws SystemCallError */
export function hardFileLimit(): number {
  return Number(hardLimit(openFiles));
}

/** How many files this process may have open: the soft limit. @throws SystemCallError */
export function fileLimit(): number {
  const [soft = 0n] = limitsOf(openFiles);
  return Number(soft);
}

/** A hard limit of this process, by the number of its RLIMIT_ name. @throws SystemCallError */
export function hardLimit(resource: number): bigint {
  return limitsOf(resource)[1] as bigint;
}

/** The soft limit and the hard one. prlimit(2) */
function limitsOf(resource: number): BigUint64Array {
  const limits = new BigUint64Array(2);
  if (Number(libc.syscall(syscallNumber("prlimit64"), 0, resource, 0, ptr(limits), 0, 0)) < 0) {
    throw systemCallError("prlimit64");
  }
  return limits;
}

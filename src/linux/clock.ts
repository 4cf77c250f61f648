import { ptr } from "bun:ffi";
import { systemCallError } from "./errno.ts";
import { libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

/** clock_gettime(2) */
const CLOCK_REALTIME = 0;

/** The time of day in nanoseconds since 1970, as exactly as the kernel knows it; Date knows milliseconds. */
export function nanosecondsNow(): bigint {
  const time = new BigInt64Array(2);
  const result = libc.syscall(syscallNumber("clock_gettime"), CLOCK_REALTIME, ptr(time), 0, 0, 0, 0);
  if (Number(result) < 0) throw systemCallError("clock_gettime");
  const [seconds = 0n, nanoseconds = 0n] = time;
  return seconds * 1_000_000_000n + nanoseconds;
}

import type { Timestamp } from "./tar/entry.ts";

const times = new Uint32Array(8);
const word = 0x1_0000_0000;

/**
 * Two moments as `struct timespec[2]`, as futimens(3) takes them. The array is valid until the next call: there is one
 * per thread, and the kernel copies it.
 */
export function timesOf(accessed: Timestamp, modified: Timestamp): Uint32Array {
  times[0] = accessed.seconds;
  times[1] = Math.floor(accessed.seconds / word);
  times[2] = accessed.nanoseconds;
  times[4] = modified.seconds;
  times[5] = Math.floor(modified.seconds / word);
  times[6] = modified.nanoseconds;
  return times;
}

/** Nanoseconds since 1970, as stat gives them, as a timestamp. */
export function timestampOf(nanoseconds: bigint): Timestamp {
  const second = 1_000_000_000n;
  const rest = ((nanoseconds % second) + second) % second;
  return { seconds: Number((nanoseconds - rest) / second), nanoseconds: Number(rest) };
}

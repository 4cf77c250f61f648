import { AT_FDCWD } from "./constants.ts";
import { systemCallError } from "./errno.ts";
import { libc } from "./libc.ts";

/** `tv_nsec` of a time that stays as it is. utimensat(2), UTIME_OMIT */
const omit = 0x3fff_fffen;

/**
 * Sets when a file was last modified, to the nanosecond, which node:fs cannot.
 * @param time nanoseconds since 1970
 * @throws SystemCallError
 */
export function setModificationTime(path: string, time: bigint): void {
  const second = 1_000_000_000n;
  const times = new BigInt64Array([0n, omit, time / second, time % second]);
  if (libc.utimensat(AT_FDCWD, path, times, 0) < 0) throw systemCallError("utimensat", { path });
}

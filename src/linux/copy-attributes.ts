import type { BigIntStats } from "node:fs";
import { AT_EMPTY_PATH, AT_FDCWD, S_IFLNK } from "./constants.ts";
import { systemCallError } from "./errno.ts";
import { isType } from "./file-type.ts";
import type { OwnedFd } from "./fd.ts";
import { libc } from "./libc.ts";
import { getXattr, listXattrs, setXattr } from "./xattr.ts";

/** Overlayfs's own attributes belong to its layers, not to what they show. */
const overlayAttribute = /^(trusted|user)\.overlay\./;

/**
 * Owner, mode, extended attributes and times, in this order: changing the owner clears set-user-ID and file
 * capabilities, and everything changes the times. What the receiver has besides stays.
 * @param stat the model's, which may have been taken earlier
 * @throws SystemCallError
 */
export function copyAttributes(from: OwnedFd, stat: BigIntStats, to: OwnedFd): void {
  const fd = to.number;
  if (libc.fchownat(fd, "", Number(stat.uid), Number(stat.gid), AT_EMPTY_PATH) < 0) throw systemCallError("fchownat");
  // The magic link leads to the very file, of whatever type; a symbolic link has no mode of its own.
  const itself = `/proc/self/fd/${fd}`;
  if (!isType(stat, S_IFLNK) && libc.fchmodat(AT_FDCWD, itself, Number(stat.mode) & 0o7777, 0) < 0) {
    throw systemCallError("fchmodat");
  }
  for (const name of listXattrs(from.number)) {
    if (overlayAttribute.test(name)) continue;
    const value = getXattr(from.number, name);
    if (value !== undefined) setXattr(fd, name, value);
  }
  const times = new BigInt64Array([stat.atimeNs, stat.mtimeNs].flatMap(splitTime));
  if (libc.utimensat(AT_FDCWD, itself, times, 0) < 0) throw systemCallError("utimensat");
}

/** Nanoseconds since 1970 as a `struct timespec`, whose second part is never negative. */
function splitTime(nanoseconds: bigint): [seconds: bigint, rest: bigint] {
  const second = 1_000_000_000n;
  const rest = ((nanoseconds % second) + second) % second;
  return [(nanoseconds - rest) / second, rest];
}

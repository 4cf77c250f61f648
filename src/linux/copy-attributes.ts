import type { BigIntStats } from "node:fs";
import { AT_EMPTY_PATH, AT_FDCWD, S_IFLNK } from "./constants.ts";
import { systemCallError } from "./errno.ts";
import { isType } from "./file-type.ts";
import type { OwnedFd } from "./fd.ts";
import { libc } from "./libc.ts";
import { SystemCallError } from "../util/errors.ts";
import { getXattr, listXattrs, setXattr } from "./xattr.ts";

/** Overlayfs's own attributes belong to its layers, not to what they show. */
const overlayAttribute = /^(trusted|user)\.overlay\./;

/** Whom copies are given to that do not keep their owners. */
export interface NewOwner {
  readonly uid: number;
  readonly gid: number;
}

/** set-user-ID and set-group-ID */
const otherRights = 0o6000;

/**
 * As {@link copyAttributes}, for a file that becomes somebody else's: what gave rights to its owner, or to whoever executes
 * it, is left behind. So are attributes that the receiver's file system does not take.
 * @throws SystemCallError
 */
export function giveAttributes(from: OwnedFd, stat: BigIntStats, to: OwnedFd, owner: NewOwner): void {
  setOwnerAndMode(to, { stat, ...owner, mode: Number(stat.mode) & 0o7777 & ~otherRights });
  for (const name of listXattrs(from.number)) {
    if (!name.startsWith("user.") || overlayAttribute.test(name)) continue;
    const value = getXattr(from.number, name);
    if (value !== undefined) tolerating(() => setXattr(to.number, name, value));
  }
  setTimes(stat, to);
}

/** A file system may know no attributes, or none of this file's type. */
function tolerating(set: () => void): void {
  try {
    set();
  } catch (error) {
    if (!(error instanceof SystemCallError) || !["EOPNOTSUPP", "EPERM"].includes(error.errnoName)) throw error;
  }
}

/**
 * Owner, mode, extended attributes and times, in this order: changing the owner clears set-user-ID and file
 * capabilities, and everything changes the times. What the receiver has besides stays.
 * @param stat the model's, which may have been taken earlier
 * @throws SystemCallError
 */
export function copyAttributes(from: OwnedFd, stat: BigIntStats, to: OwnedFd): void {
  setOwnerAndMode(to, { stat, uid: Number(stat.uid), gid: Number(stat.gid), mode: Number(stat.mode) & 0o7777 });
  for (const name of listXattrs(from.number)) {
    if (overlayAttribute.test(name)) continue;
    const value = getXattr(from.number, name);
    if (value !== undefined) setXattr(to.number, name, value);
  }
  setTimes(stat, to);
}

/** The magic link leads to the very file, of whatever type. */
function itself({ number }: OwnedFd): string {
  return `/proc/self/fd/${number}`;
}

function setOwnerAndMode(
  to: OwnedFd,
  { stat, uid, gid, mode }: NewOwner & { readonly stat: BigIntStats; readonly mode: number },
): void {
  if (libc.fchownat(to.number, "", uid, gid, AT_EMPTY_PATH) < 0) throw systemCallError("fchownat");
  // A symbolic link has no mode of its own.
  if (isType(stat, S_IFLNK)) return;
  if (libc.fchmodat(AT_FDCWD, itself(to), mode, 0) < 0) throw systemCallError("fchmodat");
}

function setTimes(stat: BigIntStats, to: OwnedFd): void {
  const times = new BigInt64Array([stat.atimeNs, stat.mtimeNs].flatMap(splitTime));
  if (libc.utimensat(AT_FDCWD, itself(to), times, 0) < 0) throw systemCallError("utimensat");
}

/** Nanoseconds since 1970 as a `struct timespec`, whose second part is never negative. */
function splitTime(nanoseconds: bigint): [seconds: bigint, rest: bigint] {
  const second = 1_000_000_000n;
  const rest = ((nanoseconds % second) + second) % second;
  return [(nanoseconds - rest) / second, rest];
}

import { ptr } from "bun:ffi";
import { readFileSync } from "node:fs";
import { AT_EMPTY_PATH, AT_RECURSIVE, MNT_DETACH, MS_PRIVATE } from "./constants.ts";
import { systemCallError } from "./errno.ts";
import { cString, libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

/** The number of the mount that a file was opened on, in this mount namespace. proc_pid_fdinfo(5), Linux 3.15 */
export function mountIdOf(fd: number): number {
  const id = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
  if (id === undefined) throw new Error(`/proc/self/fdinfo/${fd} names no mount`);
  return Number(id);
}

/**
 * Removes a mount with all that is mounted in it, whether or not somebody uses them, and nothing of what these are copies
 * of. umount2(2), mount_setattr(2)
 * @param fd of its root directory
 * @param path what an error calls it
 * @throws SystemCallError
 */
export function unmountTree(fd: number, path: string): void {
  // What is removed from a shared mount is removed from all that share it: from the directory of the host's too that a
  // container has by an rshared bind mount.
  const attributes = new BigUint64Array([0n, 0n, BigInt(MS_PRIVATE), 0n]);
  const empty = cString("");
  const setattr = syscallNumber("mount_setattr");
  const flags = AT_EMPTY_PATH | AT_RECURSIVE;
  if (Number(libc.syscall(setattr, fd, ptr(empty), flags, ptr(attributes), attributes.byteLength, 0)) < 0) {
    throw systemCallError("mount_setattr", { path });
  }
  const place = cString(`/proc/self/fd/${fd}`);
  const result = libc.syscall(syscallNumber("umount2"), ptr(place), MNT_DETACH, 0, 0, 0, 0);
  if (Number(result) < 0) throw systemCallError("umount2", { path });
}

import { ptr } from "bun:ffi";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from "./constants.ts";
import { systemCallError } from "./errno.ts";
import { OwnedFd } from "./fd.ts";
import { cString, libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

/**
 * A copy of the mount that a directory of the host's is on, from that directory on: in no tree until {@link placeMount}.
 * open_tree(2), Linux 5.2
 * @param recursive with copies of what is mounted below it
 * @throws SystemCallError
 */
export function copyMount(path: string, recursive: boolean): OwnedFd {
  const name = cString(path);
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0);
  const fd = Number(libc.syscall(syscallNumber("open_tree"), AT_FDCWD, ptr(name), flags, 0, 0, 0));
  if (fd < 0) throw systemCallError("open_tree", { path });
  return new OwnedFd(fd);
}

/** What {@link changeMount} changes. */
export interface MountChange {
  /** MOUNT_ATTR_… to set and to clear. */
  readonly set?: number;
  readonly clear?: number;
  /** MS_SHARED and its like. */
  readonly propagation?: number;
  /** Of what is mounted below it too. */
  readonly recursive: boolean;
}

/** Changes a mount. mount_setattr(2), Linux 5.12 @throws SystemCallError */
export function changeMount(mount: OwnedFd, { set = 0, clear = 0, propagation = 0, recursive }: MountChange): void {
  const attributes = new BigUint64Array([BigInt(set), BigInt(clear), BigInt(propagation), 0n]);
  const empty = cString("");
  const number = syscallNumber("mount_setattr");
  const flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
  if (Number(libc.syscall(number, mount.number, ptr(empty), flags, ptr(attributes), attributes.byteLength, 0)) < 0) {
    throw systemCallError("mount_setattr");
  }
}

/**
 * Puts a mount that is in no tree at a directory, in one step: nobody sees it half made.
 * @param place the directory, O_PATH will do
 * @throws SystemCallError
 */
export function placeMount(mount: OwnedFd, place: OwnedFd): void {
  const empty = cString("");
  const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  const number = syscallNumber("move_mount");
  if (Number(libc.syscall(number, mount.number, ptr(empty), place.number, ptr(empty), flags, 0)) < 0) {
    throw systemCallError("move_mount");
  }
}

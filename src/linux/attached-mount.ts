import { readFileSync } from "node:fs";
import { MNT_DETACH } from "./constants.ts";
import { systemCallError } from "./errno.ts";
import { libc, cString } from "./libc.ts";
import { ptr } from "bun:ffi";
import { syscallNumber } from "./syscalls.ts";

/** The number of the mount that a file was opened on, in this mount namespace. proc_pid_fdinfo(5), Linux 3.15 */
export function mountIdOf(fd: number): number {
  const id = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1];
  if (id === undefined) throw new Error(`/proc/self/fdinfo/${fd} names no mount`);
  return Number(id);
}

/**
 * Removes a mount with all that is mounted in it, whether or not somebody uses them. umount2(2)
 * @param fd of its root directory
 * @throws SystemCallError
 */
export function detachMount(fd: number): void {
  const path = `/proc/self/fd/${fd}`;
  const result = libc.syscall(syscallNumber("umount2"), ptr(cString(path)), MNT_DETACH, 0, 0, 0, 0);
  if (Number(result) < 0) throw systemCallError("umount2", { path });
}

import { ptr } from "bun:ffi";
import { readFileSync } from "node:fs";
import { MNT_DETACH } from "./constants.ts";
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
 * Removes a mount with all that is mounted in it, whether or not somebody uses them. umount2(2)
 * @param fd of its root directory
 * @param path what an error calls it
 * @throws SystemCallError
 */
export function unmountTree(fd: number, path: string): void {
  const place = cString(`/proc/self/fd/${fd}`);
  const result = libc.syscall(syscallNumber("umount2"), ptr(place), MNT_DETACH, 0, 0, 0, 0);
  if (Number(result) < 0) throw systemCallError("umount2", { path });
}

import { AT_FDCWD, O_CLOEXEC, O_RDONLY, O_WRONLY } from "./constants.ts";
import { errnos, systemCallError } from "./errno.ts";
import { OwnedFd, readSome, writeAll } from "./fd.ts";
import { errno, libc } from "./libc.ts";

/**
 * A setting of the kernel; of those below `net/` the network namespace's that the calling thread is in. proc_sys(5)
 * @param name with slashes: devices may have dots in their names, such as `net/ipv4/conf/eth0.5/forwarding`
 * @returns undefined when the kernel has no such setting
 * @throws SystemCallError
 */
export function readSysctl(name: string): string | undefined {
  using file = open(name, O_RDONLY);
  if (file === undefined) return undefined;
  return Buffer.from(readSome(file.number, new Uint8Array(4096)))
    .toString()
    .trim();
}

/**
 * Changes a setting of the kernel: see {@link readSysctl}.
 * @returns false when the kernel has no such setting
 * @throws SystemCallError
 */
export function writeSysctl(name: string, value: string): boolean {
  using file = open(name, O_WRONLY);
  if (file === undefined) return false;
  writeAll(file.number, Buffer.from(value));
  return true;
}

function open(name: string, flags: number): OwnedFd | undefined {
  const path = `/proc/sys/${name}`;
  const fd = libc.openat(AT_FDCWD, path, flags | O_CLOEXEC, 0);
  if (fd >= 0) return new OwnedFd(fd);
  const reason = errno();
  if (reason === errnos.ENOENT) return undefined;
  throw systemCallError(
    "open",
    { step: `${flags === O_RDONLY ? "read" : "change"} a setting of the kernel`, path },
    reason,
  );
}

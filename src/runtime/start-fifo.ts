import { AT_FDCWD, O_CLOEXEC, O_NONBLOCK, O_RDONLY, O_RDWR, S_IFIFO } from "../linux/constants.ts";
import { systemCallError } from "../linux/errno.ts";
import { OwnedFd } from "../linux/fd.ts";
import { libc } from "../linux/libc.ts";

/**
 * The FIFO whose writing end starts a container, opened so that this does not wait for a writer to come. fifo(7)
 * @param wait.underFilter for the wait of `addWaitUnderFilter`, which has no end; otherwise for `addWaitForStart`'s
 * @throws SystemCallError
 */
export function makeStartFifo(path: string, { underFilter }: { readonly underFilter: boolean }): OwnedFd {
  if (libc.mknodat(AT_FDCWD, path, S_IFIFO | 0o600, 0) < 0) throw systemCallError("mkfifo", { path });
  const flags = underFilter ? O_RDWR : O_RDONLY | O_NONBLOCK;
  const number = libc.openat(AT_FDCWD, path, flags | O_CLOEXEC, 0);
  if (number < 0) throw systemCallError("open", { path });
  return new OwnedFd(number);
}

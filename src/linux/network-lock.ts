import { AT_FDCWD, O_CLOEXEC, O_RDONLY } from "./constants.ts";
import { errnos, systemCallError } from "./errno.ts";
import { OwnedFd } from "./fd.ts";
import { errno, libc } from "./libc.ts";

const exclusive = 2;
const doNotBlock = 4;

/** The longest pause between two attempts; in milliseconds. */
const longestPause = 50;

/**
 * A lock that all have in common who are in the network namespace of the calling thread, whatever files they see: flock(2)
 * on the namespace's own file. Closing it lets go of it. The thread is not blocked meanwhile, as by `FileLock.acquire`.
 * @throws SystemCallError
 */
export async function lockNetwork(signal?: AbortSignal): Promise<OwnedFd> {
  const path = "/proc/thread-self/ns/net";
  const fd = libc.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) throw systemCallError("open", { path });
  using cleanup = new DisposableStack();
  const file = cleanup.use(new OwnedFd(fd));
  for (let pause = 1; libc.flock(fd, exclusive | doNotBlock) < 0; pause = Math.min(pause * 2, longestPause)) {
    const number = errno();
    if (number !== errnos.EAGAIN && number !== errnos.EINTR) throw systemCallError("flock", { path }, number);
    signal?.throwIfAborted();
    await Bun.sleep(pause);
  }
  cleanup.move();
  return file;
}

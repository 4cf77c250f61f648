import { AT_FDCWD, CLONE_NEWNET, O_CLOEXEC, O_RDONLY } from "./constants.ts";
import { systemCallError } from "./errno.ts";
import { OwnedFd } from "./fd.ts";
import { libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

/** A network namespace that was just made, and what was opened in it. */
export interface NewNetworkNamespace<Opened> {
  readonly file: OwnedFd;
  readonly opened: Opened;
}

/**
 * Makes a network namespace, in which there is nothing but a loopback that is down.
 *
 * gocker's thread is in it for a few system calls. That is possible for networks alone: a thread has its own, which its
 * process and its other threads do not notice. unshare(2), network_namespaces(7)
 * @param open is called in it: a few system calls and nothing else, as a thread that it made would stay there
 * @throws SystemCallError
 */
export function makeNetworkNamespace<Opened extends Disposable>(open: () => Opened): NewNetworkNamespace<Opened> {
  return elsewhere(
    () => {
      if (Number(libc.syscall(syscallNumber("unshare"), CLONE_NEWNET, 0, 0, 0, 0, 0)) < 0) {
        throw systemCallError("unshare", { step: "make a network namespace" });
      }
    },
    () => {
      using cleanup = new DisposableStack();
      const opened = cleanup.use(open());
      const file = openOwn();
      cleanup.move();
      return { file, opened };
    },
  );
}

/**
 * Does something in another network namespace: what sockets belong to and what `/proc/sys/net` shows is decided by the
 * thread that opens them.
 * @param deed a few system calls and nothing else, as for {@link makeNetworkNamespace}
 * @throws SystemCallError the namespace cannot be entered; whatever the deed throws
 */
export function inNetworkNamespace<Result>(namespace: number, deed: () => Result): Result {
  return elsewhere(() => enter(namespace), deed);
}

function elsewhere<Result>(go: () => void, deed: () => Result): Result {
  using own = openOwn();
  go();
  try {
    return deed();
  } finally {
    // There is no going on from an error here: whatever gocker did then, it would do to the container's network.
    enter(own.number);
  }
}

function enter(namespace: number): void {
  if (Number(libc.syscall(syscallNumber("setns"), namespace, CLONE_NEWNET, 0, 0, 0, 0)) < 0) {
    throw systemCallError("setns", { step: "enter a network namespace" });
  }
}

function openOwn(): OwnedFd {
  const path = "/proc/thread-self/ns/net";
  const fd = libc.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) throw systemCallError("open", { path });
  return new OwnedFd(fd);
}

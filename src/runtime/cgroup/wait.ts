import { errnos, systemCallError } from "../../linux/errno.ts";
import { errno, libc } from "../../linux/libc.ts";
import { openPidfd } from "../../linux/process.ts";
import { ControlFile } from "./files.ts";

/** POLLIN, POLLPRI. asm-generic/poll.h */
const readable = 1;
const urgent = 2;
/** More processes than this are not waited for at once: the end of any of them is news enough. */
const mostAtOnce = 64;

/** Blocks for some milliseconds: for what the kernel gives no event for. */
export function pause(milliseconds: number): void {
  poll([], 0, milliseconds);
}

/**
 * Blocks until a line of a control file of events (version 2) reads `key value`, such as `populated 0`.
 * @param timeout in milliseconds
 * @returns false when the time is over before
 */
export function waitForEvent(eventsPath: string, key: string, value: number, timeout: number): boolean {
  const deadline = performance.now() + timeout;
  const wanted = `${key} ${value}`;
  using file = ControlFile.forReading(eventsPath);
  for (;;) {
    // Reading is also what arms the event: a change from now on ends the poll below.
    if (file.readAgain().split("\n").includes(wanted)) return true;
    const left = deadline - performance.now();
    if (left <= 0) return false;
    poll([file.fd], urgent, left);
  }
}

/** Blocks until one of these processes has ended, or all are gone already, at most `timeout` milliseconds. */
export function waitForEnd(pids: readonly number[], timeout: number): void {
  const fds: number[] = [];
  try {
    for (const pid of pids.slice(0, mostAtOnce)) {
      const fd = openPidfd(pid);
      if (fd !== undefined) fds.push(fd);
    }
    const before = performance.now();
    if (fds.length > 0) poll(fds, readable, timeout);
    // The kernel takes a process off its cgroup shortly before or after it reports the end.
    if (performance.now() - before < 1) pause(Math.min(1, timeout));
  } finally {
    for (const fd of fds) libc.close(fd);
  }
}

/** Blocks until one of the descriptors has one of the events, for at most `timeout` milliseconds. poll(2) */
function poll(fds: readonly number[], events: number, timeout: number): void {
  // struct pollfd: int fd, short events, short revents
  const list = new Int32Array(Math.max(2, fds.length * 2));
  fds.forEach((fd, index) => {
    list[index * 2] = fd;
    list[index * 2 + 1] = events;
  });
  const result = libc.poll(list, fds.length, Math.max(1, Math.ceil(timeout)));
  if (result === -1 && errno() !== errnos.EINTR) throw systemCallError("poll");
}

import { ptr } from "bun:ffi";
import { capabilityNumber } from "./capabilities.ts";
import { PR_CAPBSET_READ } from "./constants.ts";
import { errnos, systemCallError } from "./errno.ts";
import { duplicate, type OwnedFd } from "./fd.ts";
import { errno, libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

/** How a process ended. wait(2) */
export type ExitStatus = { readonly code: number } | { readonly signal: number };

/** The exit code that a shell shows for a status: 128 and the signal's number when a signal ended it. */
export function exitCodeOf(status: ExitStatus): number {
  return "code" in status ? status.code : 128 + status.signal;
}

/**
 * Resolves when the process of a pidfd has ended, whether it is a child of gocker's or not. pidfd_open(2): the
 * descriptor becomes readable then. Bun's event loop watches descriptors only as sockets; this one is closed by its
 * first attempt to read, which is all that is wanted.
 */
export async function processEnded(pidfd: OwnedFd): Promise<void> {
  const watched = duplicate(pidfd.number).release();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = { data() {}, open() {}, end() {}, close: () => resolve(), error: reject };
  // The types know a descriptor for listening sockets only.
  await Bun.connect({ fd: watched, socket } as unknown as Bun.UnixSocketOptions);
  await promise;
}

/** Takes the status of a child that has ended, of this one alone: Bun waits for children of its own. waitpid(2) */
export function reap(pid: number): ExitStatus {
  const status = new Int32Array(1);
  while (libc.waitpid(pid, status, 0) < 0) {
    if (errno() !== errnos.EINTR) throw systemCallError("waitpid");
  }
  const value = status[0] as number;
  const signal = value & 0x7f;
  return signal === 0 ? { code: (value >> 8) & 0xff } : { signal };
}

/** A descriptor of a running process; undefined when there is none of that number. pidfd_open(2) @throws SystemCallError */
export function openPidfd(pid: number): number | undefined {
  const fd = Number(libc.syscall(syscallNumber("pidfd_open"), pid, 0, 0, 0, 0, 0));
  if (fd >= 0) return fd;
  if (errno() === errnos.ESRCH) return undefined;
  throw systemCallError("pidfd_open");
}

/** Sends a signal to the process itself, never to one that got its number later. False when it has ended. pidfd_send_signal(2) */
export function sendSignal(pidfd: OwnedFd, signal: number): boolean {
  if (libc.syscall(syscallNumber("pidfd_send_signal"), pidfd.number, signal, 0, 0, 0, 0) >= 0) return true;
  if (errno() === errnos.ESRCH) return false;
  throw systemCallError("pidfd_send_signal");
}

/** Whether the process of a pidfd is a child of gocker's, which may have ended and was not waited for. waitid(2) */
export function isChild({ number }: OwnedFd): boolean {
  const [byPidfd, exited, noHang, noWait] = [3, 4, 1, 0x0100_0000];
  const info = new Uint8Array(128);
  return (
    Number(libc.syscall(syscallNumber("waitid"), byPidfd, number, ptr(info), exited | noHang | noWait, 0, 0)) === 0
  );
}

/** Whether this process may look into those that are hidden from others: as root alone. ptrace(2), prctl(2) */
export function mayTrace(): boolean {
  if (process.geteuid?.() !== 0) return false;
  return libc.prctl(PR_CAPBSET_READ, capabilityNumber("CAP_SYS_PTRACE") as number, 0, 0, 0) === 1;
}

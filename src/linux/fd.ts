import {
  AT_FDCWD,
  F_ADD_SEALS,
  F_DUPFD_CLOEXEC,
  F_GETFL,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  F_SETFL,
  F_SETPIPE_SZ,
  FIONREAD,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  MFD_EXEC,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
} from "./constants.ts";
import { errno, libc } from "./libc.ts";
import { errnos, systemCallError } from "./errno.ts";
import { syscallNumber } from "./syscalls.ts";

/** An open file descriptor with one owner, who closes it. */
export class OwnedFd implements Disposable {
  #number: number;

  constructor(number: number) {
    this.#number = number;
  }

  /** The number for system calls. Throws once the descriptor is closed or given away. */
  get number(): number {
    if (this.#number < 0) throw new Error("the file descriptor is closed");
    return this.#number;
  }

  /** Gives the descriptor away: the caller closes it from now on. */
  release(): number {
    const { number } = this;
    this.#number = -1;
    return number;
  }

  close(): void {
    if (this.#number >= 0) libc.close(this.#number);
    this.#number = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * A second descriptor of the same open file, which closes on exec. fcntl(2)
 * @param least the smallest number that it may have
 * @throws SystemCallError
 */
export function duplicate(fd: number, least = 3): OwnedFd {
  const number = libc.fcntl(fd, F_DUPFD_CLOEXEC, least);
  if (number < 0) throw systemCallError("fcntl");
  return new OwnedFd(number);
}

/** The null device, for reading and writing. @throws SystemCallError */
export function openNull(): OwnedFd {
  const fd = libc.openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
  if (fd < 0) throw systemCallError("open", { path: "/dev/null" });
  return new OwnedFd(fd);
}

/** The two ends of a channel. */
export interface FdPair extends Disposable {
  readonly reader: OwnedFd;
  readonly writer: OwnedFd;
}

/** A pipe whose ends close on exec. pipe(2) @throws SystemCallError */
export function createPipe(): FdPair {
  const ends = new Int32Array(2);
  if (libc.pipe2(ends, O_CLOEXEC) < 0) throw systemCallError("pipe2");
  return pair(ends);
}

/** Two connected stream sockets that close on exec. socketpair(2) @throws SystemCallError */
export function createSocketPair(): FdPair {
  const ends = new Int32Array(2);
  const unix = 1;
  const stream = 1;
  if (libc.socketpair(unix, stream | O_CLOEXEC, 0, ends) < 0) throw systemCallError("socketpair");
  return pair(ends);
}

function pair(ends: Int32Array): FdPair {
  const reader = new OwnedFd(ends[0] as number);
  const writer = new OwnedFd(ends[1] as number);
  return {
    reader,
    writer,
    [Symbol.dispose]() {
      reader.close();
      writer.close();
    },
  };
}

/**
 * A file in memory that nobody can change any more, fit to be executed. memfd_create(2); MFD_EXEC is of Linux 6.3 and
 * needed where the sysctl vm.memfd_noexec is set, older kernels refuse it.
 * @throws SystemCallError
 */
export function createSealedMemfd(name: string, parts: readonly { offset: number; bytes: Uint8Array }[]): OwnedFd {
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  let number = libc.memfd_create(name, flags | MFD_EXEC);
  if (number < 0 && errno() === errnos.EINVAL) number = libc.memfd_create(name, flags);
  if (number < 0) throw systemCallError("memfd_create");
  const file = new OwnedFd(number);
  try {
    for (const { offset, bytes } of parts) writeAllAt(number, bytes, offset);
    if (libc.fcntl(number, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
      throw systemCallError("fcntl", { step: "seal the file in memory" });
    }
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** A file in memory with these bytes, read and written from its beginning. memfd_create(2) @throws SystemCallError */
export function createMemfd(name: string, bytes: Uint8Array): OwnedFd {
  const number = libc.memfd_create(name, MFD_CLOEXEC);
  if (number < 0) throw systemCallError("memfd_create");
  const file = new OwnedFd(number);
  try {
    writeAllAt(number, bytes, 0);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

function writeAllAt(fd: number, bytes: Uint8Array, offset: number): void {
  let written = 0;
  while (written < bytes.length) {
    const rest = written === 0 ? bytes : bytes.subarray(written);
    const count = Number(libc.pwrite(fd, rest, rest.length, offset + written));
    if (count < 0) throw systemCallError("pwrite");
    written += count;
  }
}

/** Reads once; an empty array at the end. Retries when a signal interrupts. read(2) @throws SystemCallError */
export function readSome(fd: number, buffer: Uint8Array): Uint8Array {
  for (;;) {
    const count = Number(libc.read(fd, buffer, buffer.length));
    if (count >= 0) return buffer.subarray(0, count);
    if (errno() !== errnos.EINTR) throw systemCallError("read");
  }
}

/** Writes all of `bytes`, waiting where the descriptor does not. write(2) @throws SystemCallError */
export function writeAll(fd: number, bytes: Uint8Array): void {
  let written = 0;
  while (written < bytes.length) {
    const rest = written === 0 ? bytes : bytes.subarray(written);
    const count = Number(libc.write(fd, rest, rest.length));
    if (count >= 0) {
      written += count;
      continue;
    }
    const number = errno();
    // A terminal that somebody else has made non-blocking: the flag belongs to the open file, not to gocker.
    if (number === errnos.EAGAIN) pollWritable(fd, -1);
    else if (number !== errnos.EINTR) throw systemCallError("write", {}, number);
  }
}

/** No more than a pipe that is ready for writing takes at once. pipe(7), PIPE_BUF */
const atOnce = 4096;

/**
 * Writes as much of `bytes` as can be without waiting.
 * @returns how much that was: 0 when the descriptor takes nothing at present
 * @throws SystemCallError
 */
export function writeSome(fd: number, bytes: Uint8Array): number {
  if (!pollWritable(fd, 0)) return 0;
  const count = Number(libc.write(fd, bytes, Math.min(bytes.length, atOnce)));
  if (count >= 0) return count;
  const number = errno();
  if (number === errnos.EAGAIN || number === errnos.EINTR) return 0;
  throw systemCallError("write", {}, number);
}

/**
 * Writes all of `bytes` and leaves the thread to others while the descriptor takes nothing.
 * @param descriptor asked before each write; undefined when it was closed meanwhile, which ends the writing
 * @param onWritten told of each part that was written
 * @throws SystemCallError
 */
export async function writePatiently(
  descriptor: () => number | undefined,
  bytes: Uint8Array,
  onWritten?: (count: number) => void,
): Promise<void> {
  const longestPause = 16;
  let rest = bytes;
  let pause = 1;
  for (let fd = descriptor(); fd !== undefined && rest.length > 0; fd = descriptor()) {
    const count = writeSome(fd, rest);
    rest = rest.subarray(count);
    if (count > 0) {
      pause = 1;
      onWritten?.(count);
    } else {
      await Bun.sleep(pause);
      pause = Math.min(pause * 2, longestPause);
    }
  }
}

/** Lets no call on an open file wait any more, for everybody who has it. fcntl(2) @throws SystemCallError */
export function makeNonBlocking(fd: number): void {
  setOpenFileFlags(fd, openFileFlags(fd) | O_NONBLOCK);
}

/** The status flags of an open file, which all share who have it open. fcntl(2), F_GETFL @throws SystemCallError */
export function openFileFlags(fd: number): number {
  const flags = libc.fcntl(fd, F_GETFL, 0);
  if (flags < 0) throw systemCallError("fcntl");
  return flags;
}

/** Sets them. fcntl(2), F_SETFL @throws SystemCallError */
export function setOpenFileFlags(fd: number, flags: number): void {
  if (libc.fcntl(fd, F_SETFL, flags) < 0) throw systemCallError("fcntl");
}

/** How many bytes wait in a pipe to be read. ioctl_fionread(2) @throws SystemCallError */
export function bytesInPipe(fd: number): number {
  const count = new Int32Array(1);
  if (libc.ioctl(fd, FIONREAD, count) < 0) throw systemCallError("ioctl");
  return count[0] as number;
}

/** Takes the position in an open file back by so many bytes. lseek(2) @throws SystemCallError */
export function seekBack(fd: number, bytes: number): void {
  const lseek = syscallNumber("lseek");
  const [fromStart, fromHere] = [0, 1];
  const position = Number(libc.syscall(lseek, fd, 0, fromHere, 0, 0, 0));
  if (position < 0 || Number(libc.syscall(lseek, fd, position - bytes, fromStart, 0, 0, 0)) < 0) {
    throw systemCallError("lseek");
  }
}

/** Lets a pipe hold so many bytes, where the user's limits allow it. pipe(7), F_SETPIPE_SZ */
export function enlargePipe(fd: number, bytes: number): void {
  libc.fcntl(fd, F_SETPIPE_SZ, bytes);
}

const pollEvents = { read: 1, write: 4 } as const;

function poll(fd: number, events: number, milliseconds: number): boolean {
  const entry = new Int32Array([fd, events]);
  return libc.poll(entry, 1, milliseconds) > 0;
}

/** Whether there is something to read (or the other end is gone) within `milliseconds`; -1 waits for ever. poll(2) */
function pollReadable(fd: number, milliseconds: number): boolean {
  return poll(fd, pollEvents.read, milliseconds);
}

/** Whether a descriptor takes something (or the other end is gone) within `milliseconds`. poll(2) */
export function pollWritable(fd: number, milliseconds: number): boolean {
  return poll(fd, pollEvents.write, milliseconds);
}

/**
 * Resolves when there is something to read. What is waited for comes within milliseconds, if nothing is wrong: so the
 * thread waits itself at first, which costs least, and looks again and again while something is.
 * @param longest milliseconds after which it is enough
 * @returns whether there is something to read
 */
export async function waitReadable(fd: number, longest = Infinity): Promise<boolean> {
  const patience = 100;
  const pause = 5;
  const deadline = performance.now() + longest;
  if (pollReadable(fd, Math.min(patience, Math.ceil(longest)))) return true;
  while (!pollReadable(fd, 0)) {
    if (performance.now() >= deadline) return false;
    await Bun.sleep(pause);
  }
  return true;
}

import { O_CLOEXEC, O_NOCTTY, O_RDWR, TCGETS, TIOCGPGRP, TIOCGPTPEER, TIOCGWINSZ, TIOCSWINSZ } from "./constants.ts";
import { systemCallError } from "./errno.ts";
import { OwnedFd } from "./fd.ts";
import { bindLibc, libc } from "./libc.ts";
import { pollAll, pollEvent } from "./poll.ts";
import { syscallNumber } from "./syscalls.ts";

/** A terminal's size in characters. */
export interface WindowSize {
  readonly height: number;
  readonly width: number;
}

/** Room for glibc's and musl's `struct termios`, which are both 60 bytes. */
const termiosSize = 64;
const modeCalls = {
  tcgetattr: { args: ["i32", "buffer"], returns: "i32" },
  cfmakeraw: { args: ["buffer"], returns: "void" },
  tcsetattr: { args: ["i32", "i32", "buffer"], returns: "i32" },
} as const;
const setNow = 0;
const setAfterOutput = 1;

/** Whether a descriptor is a terminal. isatty(3) */
export function isTerminal(fd: number): boolean {
  return libc.ioctl(fd, TCGETS, new Uint8Array(termiosSize)) === 0;
}

/** Whether what was a terminal is none any more: its other side was closed. pty(7), poll(2) @throws SystemCallError */
export function hasHungUp(fd: number): boolean {
  const [events = 0] = pollAll([{ fd, events: 0 }], 0);
  return (events & pollEvent.hungUp) !== 0;
}

/** The size of a terminal; undefined when the descriptor is none, or one that does not know. */
export function windowSize(fd: number): WindowSize | undefined {
  const size = new Uint16Array(4);
  if (libc.ioctl(fd, TIOCGWINSZ, size) < 0) return undefined;
  const [height = 0, width = 0] = size;
  return height === 0 || width === 0 ? undefined : { height, width };
}

/** Sets a terminal's size; its foreground processes get SIGWINCH when it changes. @throws SystemCallError */
export function setWindowSize(fd: number, { height, width }: WindowSize): void {
  if (libc.ioctl(fd, TIOCSWINSZ, new Uint16Array([height, width, 0, 0])) < 0) throw systemCallError("ioctl");
}

/**
 * The other side of a terminal, by the descriptor of its master side, wherever its devpts is mounted.
 * ioctl_tty(2), TIOCGPTPEER
 * @throws SystemCallError
 */
export function openPeer(master: number): OwnedFd {
  const flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
  const number = Number(libc.syscall(syscallNumber("ioctl"), master, TIOCGPTPEER, flags, 0, 0, 0));
  if (number < 0) throw systemCallError("ioctl");
  return new OwnedFd(number);
}

/** Whether a terminal lets gocker's process group have its way: it is in the foreground there, or of another session. */
function isInForeground(fd: number): boolean {
  const group = new Int32Array(1);
  if (libc.ioctl(fd, TIOCGPGRP, group) < 0) return true;
  return group[0] === Number(libc.syscall(syscallNumber("getpgid"), 0, 0, 0, 0, 0, 0));
}

type ModeCalls = ReturnType<typeof bindLibc<typeof modeCalls>>;

/** The mode that a terminal was in; disposing puts it back. */
export class TerminalMode implements Disposable {
  readonly #fd: number;
  readonly #calls: ModeCalls;
  readonly #saved: Uint8Array;

  private constructor(fd: number, calls: ModeCalls, saved: Uint8Array) {
    this.#fd = fd;
    this.#calls = calls;
    this.#saved = saved;
  }

  /** Remembers the mode of a terminal; undefined when the descriptor is none. tcgetattr(3) */
  static save(fd: number): TerminalMode | undefined {
    const saved = new Uint8Array(termiosSize);
    const calls = bindLibc(modeCalls);
    return calls.tcgetattr(fd, saved) === 0 ? new TerminalMode(fd, calls, saved) : undefined;
  }

  /** Hands every byte on as it is typed: no echo, no lines, no signals by keys. cfmakeraw(3) */
  makeRaw(): void {
    const raw = this.#saved.slice();
    this.#calls.cfmakeraw(raw);
    if (this.#calls.tcsetattr(this.#fd, setNow, raw) < 0) throw systemCallError("tcsetattr");
  }

  /**
   * Puts the mode back where it differs. A terminal that others have in the foreground by now is theirs: setting it
   * would stop gocker in the middle of its clean-up. tcsetattr(3), signal(7) SIGTTOU
   */
  restore(): void {
    const now = new Uint8Array(termiosSize);
    if (this.#calls.tcgetattr(this.#fd, now) < 0 || Buffer.compare(now, this.#saved) === 0) return;
    if (isInForeground(this.#fd)) this.#calls.tcsetattr(this.#fd, setAfterOutput, this.#saved);
  }

  [Symbol.dispose](): void {
    this.restore();
  }
}

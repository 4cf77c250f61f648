import { closeSync, constants, fstatSync, openSync, statSync, unlinkSync } from "node:fs";
import { errnos, systemCallError } from "./errno.ts";
import { errno, libc } from "./libc.ts";

/** Many may hold a shared lock at once; an exclusive one excludes all others. */
export type LockMode = "shared" | "exclusive";

/** Whether the file of a lock is made when it is missing. */
export type LockFile = "made" | "there";

/** How to wait for a lock: see {@link FileLock.acquire}. */
export interface LockWait {
  readonly signal?: AbortSignal | undefined;
  /** `made` unless told. */
  readonly file?: LockFile | undefined;
  /** Called once, when the lock is held by somebody else and the wait begins. */
  readonly onWait?: (() => void) | undefined;
}

const operations = { shared: 1, exclusive: 2 } as const;
const doNotBlock = 4;
const closeOnExec = 0o2000000;

/** The longest pause between two attempts; in milliseconds. */
const longestPause = 50;

/**
 * A lock between processes, flock(2) on a file of its own. The kernel lets go of it when its holder dies, however it
 * dies. Two locks of one process exclude each other like those of two processes. The file may be removed by the
 * (exclusive) holder with {@link removeAndRelease}; those who wait notice it.
 */
export class FileLock implements Disposable {
  readonly path: string;
  #fd: number | undefined;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /**
   * The lock, or undefined when somebody else holds it.
   * @param file whether its file is made when it is missing, or that is an error with the code ENOENT
   */
  static tryAcquire(path: string, mode: LockMode, file: LockFile = "made"): FileLock | undefined {
    const create = file === "made" ? constants.O_CREAT : 0;
    for (;;) {
      const fd = openSync(path, constants.O_RDWR | create | constants.O_NOFOLLOW | closeOnExec, 0o600);
      let kept = false;
      try {
        if (libc.flock(fd, operations[mode] | doNotBlock) === -1) {
          const number = errno();
          if (number === errnos.EAGAIN) return undefined;
          if (number === errnos.EINTR) continue;
          throw systemCallError("flock", { path }, number);
        }
        if (!isStillAt(path, fd)) continue;
        kept = true;
        return new FileLock(path, fd);
      } finally {
        if (!kept) closeSync(fd);
      }
    }
  }

  /**
   * The lock, waiting as long as somebody else holds it. The thread is not blocked meanwhile: flock has no way to wait
   * that a signal of JavaScript could end, so the lock is asked for again and again, at most 50 ms apart.
   */
  static async acquire(path: string, mode: LockMode, wait: LockWait = {}): Promise<FileLock> {
    let pause = 1;
    for (let attempt = 0; ; attempt++) {
      wait.signal?.throwIfAborted();
      const lock = FileLock.tryAcquire(path, mode, wait.file);
      if (lock !== undefined) return lock;
      if (attempt === 0) wait.onWait?.();
      await Bun.sleep(pause);
      pause = Math.min(pause * 2, longestPause);
    }
  }

  /** The lock that a process holds since it was another program: it comes with the descriptor. flock(2) */
  static inherit(path: string, descriptor: number): FileLock {
    return new FileLock(path, descriptor);
  }

  /** Whoever has a copy of it holds the lock, too, until all are closed. */
  get descriptor(): number {
    if (this.#fd === undefined) throw new Error("the lock was released");
    return this.#fd;
  }

  /** Lets go of the lock; more than once is no error. */
  release(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
  }

  /** Removes the lock's file and lets go. Only for the holder of an exclusive lock. */
  removeAndRelease(): void {
    if (this.#fd === undefined) return;
    try {
      unlinkSync(this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    } finally {
      this.release();
    }
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Whether somebody holds a lock, for this moment. That its file is not there means that nobody does. */
export function isHeld(path: string): boolean {
  try {
    using lock = FileLock.tryAcquire(path, "exclusive", "there");
    return lock === undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** Whether the path still names the file that was locked: its last holder may have removed it in between. */
function isStillAt(path: string, fd: number): boolean {
  const locked = fstatSync(fd);
  const named = statSync(path, { throwIfNoEntry: false });
  return named !== undefined && named.ino === locked.ino && named.dev === locked.dev;
}

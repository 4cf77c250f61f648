import { createPipe, type FdPair, writeAll, writePatiently } from "../linux/fd.ts";
import { SystemCallError } from "../util/errors.ts";
import { errnos } from "../linux/errno.ts";
import { hasHungUp } from "../linux/terminal.ts";

/** Where the output goes. */
export interface OutputTarget {
  /** gocker's own descriptor, 1 or 2. */
  readonly descriptor: number;
  /** Writing may have to wait for somebody, unlike to a file. */
  readonly mayWait: boolean;
}

/**
 * A pipe for the container in the place of one of gocker's outputs, and what passes its content on. A pipe is all that
 * the container gets of a file, a terminal or a socket of the caller's: it cannot change their mode or owner, read them,
 * cut them or look around from them, and can open /dev/stdout anew.
 */
export class OutputRelay implements Disposable {
  readonly #target: OutputTarget;
  readonly #pipe: FdPair;
  #finished: Promise<void> | undefined;
  #isWriting = false;

  constructor(target: OutputTarget) {
    this.#target = target;
    this.#pipe = createPipe();
  }

  /** The container's end. */
  get descriptor(): number {
    return this.#pipe.writer.number;
  }

  /** Whether it waits for who reads; else for who writes. */
  get isWriting(): boolean {
    return this.#isWriting;
  }

  /** The container has its end: passes on what comes, until nobody has that any more. */
  start(): void {
    this.#pipe.writer.close();
    this.#finished = this.#copy();
    // Waited for at the container's end, which comes later than a failure.
    this.#finished.catch(() => {});
  }

  /** Resolves when everything is passed on. @throws SystemCallError it could not be */
  async finished(): Promise<void> {
    await this.#finished;
  }

  async #copy(): Promise<void> {
    const { descriptor, mayWait } = this.#target;
    try {
      for await (const chunk of Bun.file(this.#pipe.reader.number).stream()) {
        this.#isWriting = true;
        if (mayWait) await writePatiently(() => descriptor, chunk);
        else writeAll(descriptor, chunk);
        this.#isWriting = false;
      }
    } catch (error) {
      // Nobody reads any more: the container's programs get to know that as from the output itself.
      if (!isGone(error, descriptor)) throw error;
    } finally {
      // Whatever went wrong, the container must not wait for somebody to read on.
      this.#pipe.reader.close();
    }
  }

  [Symbol.dispose](): void {
    this.#pipe[Symbol.dispose]();
  }
}

/** Whether somebody has gone: the reader of a pipe, or who looked at a terminal. */
function isGone(error: unknown, descriptor: number): boolean {
  if (!(error instanceof SystemCallError)) return false;
  return error.errno === errnos.EPIPE || (error.errno === errnos.EIO && hasHungUp(descriptor));
}

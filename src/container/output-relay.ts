import { errnos } from "../linux/errno.ts";
import { createPipe, type FdPair, writeAll } from "../linux/fd.ts";
import { SystemCallError } from "../util/errors.ts";

/**
 * A pipe for the container in the place of one of gocker's outputs, and what passes its content on. For outputs that
 * are sockets, as sshd and systemd give: a program that opens /dev/stdout anew, as many images have their servers log,
 * can do so with a pipe only.
 */
export class OutputRelay implements Disposable {
  readonly #target: number;
  readonly #pipe: FdPair;
  #finished: Promise<void> | undefined;

  /** @param target gocker's own descriptor, 1 or 2 */
  constructor(target: number) {
    this.#target = target;
    this.#pipe = createPipe();
  }

  /** The container's end. */
  get descriptor(): number {
    return this.#pipe.writer.number;
  }

  /** The container has its end: passes on what comes, until nobody has that any more. */
  start(): void {
    this.#pipe.writer.close();
    this.#finished = this.#copy();
  }

  /** Resolves when everything is passed on. @throws SystemCallError it could not be */
  async finished(): Promise<void> {
    await this.#finished;
  }

  async #copy(): Promise<void> {
    for await (const chunk of Bun.file(this.#pipe.reader.number).stream()) {
      try {
        writeAll(this.#target, chunk);
      } catch (error) {
        if (!(error instanceof SystemCallError && error.errno === errnos.EPIPE)) throw error;
        // Nobody reads any more: the container's programs get to know that as from the socket itself.
        break;
      }
    }
    this.#pipe.reader.close();
  }

  [Symbol.dispose](): void {
    this.#pipe[Symbol.dispose]();
  }
}

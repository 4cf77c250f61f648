import { ReadStream } from "node:tty";
import { errnos } from "../linux/errno.ts";
import { duplicate, type OwnedFd, writeAll } from "../linux/fd.ts";
import { setWindowSize, TerminalMode, windowSize } from "../linux/terminal.ts";
import { SystemCallError } from "../util/errors.ts";

/**
 * Shows a container's terminal on gocker's own, until the container's side is closed. Loads node:tty, whose streams
 * alone read terminals as they become readable: to be imported only for a container that has one.
 */
export class TerminalRelay implements Disposable {
  /** Resolves when everything that the container wrote has been shown. */
  readonly finished: Promise<void>;
  readonly #master: OwnedFd;
  readonly #mode: TerminalMode | undefined;
  #output: ReadStream | undefined;
  readonly #resize = () => this.#followSize();

  /**
   * @param master the container's terminal; its owner closes it after disposing of this
   * @param interactive what is typed goes to the container, key by key
   */
  constructor(master: OwnedFd, interactive: boolean) {
    this.#master = master;
    this.#mode = interactive ? TerminalMode.save(0) : undefined;
    this.#mode?.makeRaw();
    this.#followSize();
    process.on("SIGWINCH", this.#resize);
    this.finished = this.#showOutput();
    if (interactive) this.#passInput();
  }

  #followSize(): void {
    const size = windowSize(1) ?? windowSize(0);
    if (size !== undefined) setWindowSize(this.#master.number, size);
  }

  #showOutput(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // The stream closes what it reads from, and the master is its owner's.
    const stream = new ReadStream(duplicate(this.#master.number).release());
    this.#output = stream;
    stream.on("data", (chunk: Buffer) => {
      try {
        writeAll(1, chunk);
      } catch (error) {
        if (!(error instanceof SystemCallError && error.errno === errnos.EPIPE)) return reject(error);
        this.#hangUp();
      }
    });
    stream.on("error", (error) => (isEndOfTerminal(error) ? resolve() : reject(error)));
    stream.on("close", () => resolve());
    return promise;
  }

  #passInput(): void {
    const stream = new ReadStream(0);
    stream.on("data", (chunk: Buffer) => {
      try {
        writeAll(this.#master.number, chunk);
      } catch (error) {
        if (!isEndOfTerminal(error)) throw error;
        stream.destroy();
      }
    });
    // gocker's terminal is gone: the container's goes too, and its programs notice as they would there.
    for (const end of ["end", "error"]) stream.on(end, () => this.#hangUp());
    stream.unref();
  }

  /** Nobody looks any more. The kernel sends SIGHUP to the container's session and ends its reading. pty(7) */
  #hangUp(): void {
    this.#output?.destroy();
    this.#master.close();
  }

  [Symbol.dispose](): void {
    process.off("SIGWINCH", this.#resize);
    this.#mode?.restore();
  }
}

/** Reading from a master whose other side nobody has open any more fails with EIO. pty(7) */
function isEndOfTerminal(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EIO";
}

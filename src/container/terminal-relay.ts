import { errnos } from "../linux/errno.ts";
import { type OwnedFd, writeAll } from "../linux/fd.ts";
import { setWindowSize, TerminalMode, windowSize } from "../linux/terminal.ts";
import { SystemCallError } from "../util/errors.ts";

/** Shows a container's terminal on gocker's own, until the container's side is closed. */
export class TerminalRelay implements Disposable {
  readonly finished: Promise<void>;
  readonly #master: OwnedFd;
  readonly #mode: TerminalMode | undefined;
  readonly #resize = () => this.#followSize();

  private constructor(master: OwnedFd, interactive: boolean) {
    this.#master = master;
    this.#mode = interactive ? TerminalMode.save(0) : undefined;
    this.#mode?.makeRaw();
    this.#followSize();
    process.on("SIGWINCH", this.#resize);
    this.finished = this.#copyOutput();
    if (interactive) void this.#copyInput();
  }

  /** @param interactive what is typed goes to the container, key by key */
  static start(master: OwnedFd, interactive: boolean): TerminalRelay {
    return new TerminalRelay(master, interactive);
  }

  #followSize(): void {
    const size = windowSize(1) ?? windowSize(0);
    if (size !== undefined) setWindowSize(this.#master.number, size);
  }

  async #copyOutput(): Promise<void> {
    try {
      for await (const chunk of Bun.file(this.#master.number).stream()) writeAll(1, chunk);
    } catch (error) {
      if (isEndOfTerminal(error)) return;
      // Nobody looks any more: hang up, so that the container's programs notice as on any terminal.
      if (error instanceof SystemCallError && error.errno === errnos.EPIPE) return this.#master.close();
      throw error;
    }
  }

  async #copyInput(): Promise<void> {
    try {
      for await (const chunk of Bun.stdin.stream()) writeAll(this.#master.number, chunk);
    } catch (error) {
      if (!isEndOfTerminal(error)) throw error;
    }
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

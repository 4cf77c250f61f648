import { ReadStream } from "node:tty";
import { duplicate, makeNonBlocking, type OwnedFd, writePatiently } from "../linux/fd.ts";
import { openPeer, setWindowSize, TerminalMode, windowSize } from "../linux/terminal.ts";
import { asError, SystemCallError } from "../util/errors.ts";
import { KeySequence } from "./detach-keys.ts";
import { OwnTerminals } from "./own-terminals.ts";

/** How {@link TerminalRelay} shows a terminal. */
export interface TerminalRelayOptions {
  /** What is typed goes to the container, key by key. */
  readonly interactive: boolean;
  /** Keys that end the showing and leave the container its terminal: see `parseDetachKeys`. */
  readonly detachKeys?: Uint8Array | undefined;
}

/**
 * Shows a container's terminal on gocker's own, until the program of the terminal has ended and nobody has its side open. Loads node:tty, whose streams
 * alone read a terminal that others may not find in non-blocking mode: to be imported only for a container that has one.
 *
 * Neither direction ever waits in a write: a program that does not read what is typed must still be able to show what
 * it does, and to be interrupted.
 */
export class TerminalRelay implements Disposable {
  /** Resolves when everything that the container wrote has been shown. */
  readonly finished: Promise<void>;
  /** Resolves when the detach keys were typed: nothing is shown or passed on from then on. */
  readonly detached: Promise<void>;
  /** Resolves when gocker's own terminal was found to be gone, by reading or writing. */
  readonly hungUp: Promise<void>;
  readonly #detach: () => void;
  readonly #noteHangUp: () => void;
  readonly #keys: KeySequence | undefined;
  readonly #master: OwnedFd;
  readonly #mode: TerminalMode | undefined;
  readonly #terminals = new OwnTerminals();
  readonly #resize = () => this.#followSize();
  #open = true;
  #isDetached = false;
  #isWriting = false;
  #hasProgramEnded = false;
  /** The terminal's other side, once nobody else had it open. */
  #peer: OwnedFd | undefined;
  #stopReading = () => {};
  /** What ended the passing on of input, unless it was an end. */
  #failure: Error | undefined;

  /**
   * @param master the container's terminal; its owner closes it after disposing of this
   */
  constructor(master: OwnedFd, { interactive, detachKeys }: TerminalRelayOptions) {
    this.#master = master;
    this.#keys = detachKeys === undefined ? undefined : new KeySequence(detachKeys);
    ({ promise: this.detached, resolve: this.#detach } = Promise.withResolvers<void>());
    ({ promise: this.hungUp, resolve: this.#noteHangUp } = Promise.withResolvers<void>());
    makeNonBlocking(master.number);
    this.#mode = interactive ? TerminalMode.save(0) : undefined;
    this.#mode?.makeRaw();
    this.#followSize();
    process.on("SIGWINCH", this.#resize);
    this.finished = this.#showOutput();
    // Waited for at the container's end, which comes later than a failure.
    this.finished.catch(() => {});
    if (interactive) void this.#passInput();
  }

  /** Whether it waits for who looks at gocker's terminal; else for who writes to the container's. */
  get isWriting(): boolean {
    return this.#isWriting;
  }

  /** What is still to be shown comes to its end: the terminal is not kept any more for who may open it. */
  programEnded(): void {
    this.#hasProgramEnded = true;
    this.#closePeer();
  }

  #followSize(): void {
    const size = windowSize(1) ?? windowSize(0);
    if (size !== undefined && this.#open) setWindowSize(this.#master.number, size);
  }

  async #showOutput(): Promise<void> {
    try {
      do await this.#showUntilClosed();
      while (this.#holdOpen());
    } catch (error) {
      // A reader of gocker's output who has gone, or gocker's own terminal: nobody looks any more.
      if (!this.#isEnd(error) && !hasCode(error, "EPIPE")) throw error;
      this.#lookForHangUp();
    } finally {
      this.#hangUp();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #showUntilClosed(): Promise<void> {
    // The event loop waits for descriptors that do not block. The stream closes what it reads from.
    const reader = Bun.file(duplicate(this.#master.number).release()).stream().getReader();
    this.#stopReading = () => void reader.cancel().catch(() => {});
    const next = async () => {
      try {
        return await reader.read();
      } catch (error) {
        if (hasCode(error, "EIO")) return { done: true } as const;
        throw error;
      }
    };
    for (let chunk = await next(); !chunk.done; chunk = await next()) {
      this.#isWriting = true;
      await writePatiently(() => 1, chunk.value);
      this.#isWriting = false;
    }
  }

  /**
   * Programs such as init close their terminal and open it anew: until the program's end it is there, which it is without
   * being asked for again and again when somebody has its other side open.
   * @returns false when nobody will open it any more
   */
  #holdOpen(): boolean {
    this.#closePeer();
    if (this.#hasProgramEnded || !this.#open) return false;
    try {
      this.#peer = openPeer(this.#master.number);
      return true;
    } catch (error) {
      if (error instanceof SystemCallError) return false;
      throw error;
    }
  }

  #closePeer(): void {
    this.#peer?.close();
    this.#peer = undefined;
  }

  async #passInput(): Promise<void> {
    const typed = new ReadStream(0);
    typed.unref();
    const master = () => (this.#open ? this.#master.number : undefined);
    try {
      for await (const chunk of typed) {
        const { passed, complete } = this.#keys?.take(chunk as Buffer) ?? { passed: chunk as Buffer, complete: false };
        await writePatiently(master, passed);
        if (complete) return this.#leave();
      }
      await writePatiently(master, this.#keys?.rest() ?? new Uint8Array());
    } catch (error) {
      // Reading fails when gocker's terminal is gone, writing when the container's other side is: both mean the end.
      if (!this.#isEnd(error)) this.#failure = asError(error);
    } finally {
      this.#lookForHangUp();
      this.#hangUp();
    }
  }

  #lookForHangUp(): void {
    if (this.#terminals.haveHungUp()) this.#noteHangUp();
  }

  /** What is typed from here on is for whoever has gocker's terminal next. */
  #leave(): void {
    this.#isDetached = true;
    this.#open = false;
    this.#stopReading();
    this.#detach();
  }

  /** The kernel sends SIGHUP to the container's session and ends its reading. pty(7) */
  #hangUp(): void {
    if (this.#isDetached) return;
    this.#open = false;
    this.#closePeer();
    this.#master.close();
  }

  /** Reading from a master whose other side nobody has open any more fails with EIO. pty(7) */
  #isEnd(error: unknown): boolean {
    return !this.#open || hasCode(error, "EIO");
  }

  [Symbol.dispose](): void {
    process.off("SIGWINCH", this.#resize);
    this.#closePeer();
    this.#mode?.restore();
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

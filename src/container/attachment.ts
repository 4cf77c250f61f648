import { errnos } from "../linux/errno.ts";
import { type OwnedFd, writePatiently } from "../linux/fd.ts";
import { isTerminal, TerminalMode, windowSize } from "../linux/terminal.ts";
import { asError, InvalidDocumentError, SystemCallError } from "../util/errors.ts";
import { KeySequence } from "./detach-keys.ts";
import {
  decodeDocument,
  encodeMessage,
  encodeSize,
  type Ending,
  MessageReader,
  messageType,
} from "./monitor/protocol.ts";
import { type OwnInput, readOwnInput } from "./own-input.ts";
import { OwnTerminals } from "./own-terminals.ts";

/** How a container is shown on gocker's own standard descriptors. */
export interface AttachmentOptions {
  /** The container has a terminal. */
  readonly terminal: boolean;
  /** gocker's input goes to the container. */
  readonly input: boolean;
  /** The outputs that are shown, of a terminal "stdout"; all of them when absent. */
  readonly outputs?: ReadonlySet<string> | undefined;
  /** Typed into a terminal, they leave the container to itself. */
  readonly detachKeys: Uint8Array;
}

/**
 * How it came to an end: with the container, by the keys for that, because nobody reads what is shown, because gocker's
 * terminal is gone, or because the monitor has died.
 */
export type AttachmentEnd = { readonly exitCode: number } | "detached" | "unread" | "hung up" | "lost";

/** What may wait to be written before the monitor is read on. */
const mostWaiting = 1024 * 1024;

/** A connection to a container's monitor that is shown on gocker's own standard descriptors. */
export class Attachment implements Disposable {
  readonly #options: AttachmentOptions;
  readonly #reader = new MessageReader();
  readonly #end = Promise.withResolvers<AttachmentEnd>();
  readonly #terminals = new OwnTerminals();
  readonly #mode: TerminalMode | undefined;
  #socket: Bun.Socket | undefined;
  #input: OwnInput | undefined;
  #output: Promise<void> = Promise.resolve();
  #bytesWaiting = 0;
  #drained: PromiseWithResolvers<void> | undefined;
  /** Why something could not be shown. */
  #failure: Error | undefined;

  private constructor(options: AttachmentOptions) {
    this.#options = options;
    this.#mode = options.terminal && options.input ? TerminalMode.save(0) : undefined;
  }

  /**
   * Shows what comes over a connection that was greeted; the connection's descriptor becomes this one's.
   * @throws SystemCallError
   */
  static async open(connection: OwnedFd, options: AttachmentOptions): Promise<Attachment> {
    const attachment = new Attachment(options);
    const socket: Bun.SocketHandler = {
      data: (_, bytes) => attachment.#attempt(() => attachment.#take(bytes)),
      drain: () => attachment.#drained?.resolve(),
      close: () => attachment.#finish("lost"),
      error: () => attachment.#finish("lost"),
    };
    // The types know a descriptor for listening sockets only.
    const request = { fd: connection.release(), socket } as unknown as Bun.UnixSocketOptions;
    attachment.#socket = await Bun.connect(request);
    attachment.#mode?.makeRaw();
    if (options.terminal) attachment.#followSize();
    if (options.input) void attachment.#passInput().catch((error: unknown) => attachment.#end.reject(error));
    return attachment;
  }

  /** Resolves when everything that the container wrote is shown, or nobody wants it any more. */
  async finished(): Promise<AttachmentEnd> {
    const end = await this.#end.promise;
    await this.#output;
    // The end may have come together with what could not be shown.
    if (this.#failure !== undefined) throw this.#failure;
    return end;
  }

  /** What goes wrong beside the waiting ends that. */
  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#end.reject(error);
    }
  }

  #finish(end: AttachmentEnd): void {
    this.#end.resolve(end);
  }

  #take(bytes: Uint8Array): void {
    for (const { type, body } of this.#reader.add(bytes)) {
      if (type === messageType.stdout || type === messageType.stderr)
        this.#show(type === messageType.stdout ? 1 : 2, body);
      else if (type === messageType.ending) this.#finish(decodeDocument(body) as Ending);
      else throw new InvalidDocumentError(`the container's monitor sends what this gocker does not know (${type})`);
    }
  }

  /** In the order in which it came. Who reads slowly lets the container wait. */
  #show(descriptor: 1 | 2, bytes: Uint8Array): void {
    const { outputs } = this.#options;
    if (outputs?.has(descriptor === 1 ? "stdout" : "stderr") === false) return;
    const own = bytes.slice();
    this.#bytesWaiting += own.length;
    if (this.#bytesWaiting > mostWaiting) this.#socket?.pause();
    const before = this.#output;
    this.#output = (async () => {
      await before;
      try {
        await writePatiently(() => descriptor, own);
      } catch (error) {
        // Nobody reads any more: as with docker, the container goes on.
        if (isRefused(error, errnos.EPIPE)) this.#finish("unread");
        else if (isRefused(error, errnos.EIO) && this.#terminals.haveHungUp()) this.#finish("hung up");
        else {
          this.#failure = asError(error);
          this.#end.reject(error);
        }
      }
      this.#bytesWaiting -= own.length;
      if (this.#bytesWaiting <= mostWaiting / 2) this.#socket?.resume();
    })();
  }

  async #passInput(): Promise<void> {
    const isTyped = isTerminal(0);
    const kind = isTyped ? "terminal" : "stream";
    const keys = new KeySequence(this.#options.detachKeys);
    const watchesKeys = this.#options.terminal && isTyped && this.#options.detachKeys.length > 0;
    this.#input = await readOwnInput(kind);
    try {
      for await (const chunk of this.#input.chunks) {
        const typed = watchesKeys ? keys.take(chunk) : { passed: chunk, complete: false };
        if (typed.passed.length > 0) await this.#send(encodeMessage(messageType.input, typed.passed));
        if (typed.complete) return this.#finish("detached");
      }
    } catch (error) {
      // gocker's terminal is gone. pty(7)
      if ((error as NodeJS.ErrnoException).code !== "EIO") throw error;
    }
    if (isTyped && this.#terminals.haveHungUp()) return this.#finish("hung up");
    await this.#send(encodeMessage(messageType.inputEnd));
  }

  /** Resolves when the socket has taken it. */
  async #send(message: Uint8Array): Promise<void> {
    let rest = message;
    for (;;) {
      const count = this.#socket?.write(rest) ?? -1;
      if (count < 0) return;
      rest = rest.subarray(count);
      if (rest.length === 0) return;
      this.#drained = Promise.withResolvers<void>();
      await Promise.race([this.#drained.promise, this.#end.promise]);
    }
  }

  readonly #followSize = (): void => {
    const size = windowSize(1) ?? windowSize(0);
    if (size !== undefined) void this.#send(encodeSize(size));
    process.off("SIGWINCH", this.#followSize);
    process.on("SIGWINCH", this.#followSize);
  };

  [Symbol.dispose](): void {
    process.off("SIGWINCH", this.#followSize);
    this.#mode?.restore();
    this.#input?.stop();
    this.#socket?.end();
  }
}

function isRefused(error: unknown, errno: number): boolean {
  return error instanceof SystemCallError && error.errno === errno;
}

import { type OwnedFd, readSome } from "../../linux/fd.ts";
import { pollEvent } from "../../linux/poll.ts";
import { sendSome } from "../../linux/socket.ts";
import { ByteQueue } from "../../util/byte-queue.ts";
import { InvalidDocumentError, SystemCallError } from "../../util/errors.ts";
import { decodeDocument, decodeSize, encodeHeader, type Greeting, MessageReader, messageType } from "./protocol.ts";

/** What may wait for a client that is slow: from there on the container has to wait, too. */
export const mostWaiting = 256 * 1024;

/** What a client asks of the container. */
export interface ClientEvents {
  onGreeting(client: Client, greeting: Greeting): void;
  onInput(bytes: Uint8Array): void;
  onInputEnd(): void;
  onSize(size: { readonly height: number; readonly width: number }): void;
}

/** Somebody who is connected to a monitor. Nothing here waits. */
export class Client implements Disposable {
  readonly #socket: OwnedFd;
  readonly #events: ClientEvents;
  readonly #reader = new MessageReader();
  readonly #waiting = new ByteQueue();
  #greeting: Greeting | undefined;
  #leaves = false;

  constructor(socket: OwnedFd, events: ClientEvents) {
    this.#socket = socket;
    this.#events = events;
  }

  get greeting(): Greeting | undefined {
    return this.#greeting;
  }

  /** Whether more for it must not be made before it has read. @param most bytes that may wait */
  isFull(most: number): boolean {
    return this.#waiting.length >= most;
  }

  /** It is done, or gone: to be disposed of. */
  get isOver(): boolean {
    return this.#leaves && this.#waiting.length === 0;
  }

  /**
   * For poll(2).
   * @param takesInput whether input can be taken at present
   */
  wanted(takesInput: boolean): { readonly fd: number; readonly events: number } {
    const reads = takesInput || this.#greeting?.input !== true;
    const events = (reads ? pollEvent.readable : 0) | (this.#waiting.length > 0 ? pollEvent.writable : 0);
    return { fd: this.#socket.number, events };
  }

  /** Does what there is to do by poll(2). */
  serve(ready: number, buffer: Uint8Array): void {
    try {
      if ((ready & pollEvent.writable) !== 0) this.#flush();
      if ((ready & pollEvent.readable) !== 0) this.#read(buffer);
      else if ((ready & (pollEvent.hungUp | pollEvent.failed)) !== 0) this.#abandon();
    } catch (error) {
      // A connection that breaks, or that is used by somebody else than gocker, ends for this client alone.
      if (!(error instanceof SystemCallError || error instanceof InvalidDocumentError)) throw error;
      this.#abandon();
    }
  }

  #read(buffer: Uint8Array): void {
    const bytes = readSome(this.#socket.number, buffer);
    if (bytes.length === 0) return this.#abandon();
    for (const { type, body } of this.#reader.add(bytes)) {
      if (type === messageType.greeting) {
        this.#greeting = decodeDocument(body) as Greeting;
        this.#events.onGreeting(this, this.#greeting);
      } else if (this.#greeting?.input !== true) continue;
      else if (type === messageType.input) this.#events.onInput(body);
      else if (type === messageType.inputEnd) this.#events.onInputEnd();
      else if (type === messageType.size) {
        const size = decodeSize(body);
        if (size !== undefined) this.#events.onSize(size);
      }
    }
  }

  /** Sends what the container has written, to who wants it. */
  output(type: typeof messageType.stdout | typeof messageType.stderr, bytes: Uint8Array): void {
    if (this.#greeting?.output === true) this.#send(encodeHeader(type, bytes.length), bytes);
  }

  send(message: Uint8Array): void {
    this.#send(message);
  }

  #send(...parts: readonly Uint8Array[]): void {
    if (this.#leaves) return;
    for (const part of parts) this.#waiting.add(part);
    try {
      this.#flush();
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.#abandon();
    }
  }

  /** Nothing more is sent after what waits. */
  finish(): void {
    this.#leaves = true;
  }

  #flush(): void {
    this.#waiting.drain((bytes) => sendSome(this.#socket, bytes));
  }

  /** Nobody reads any more. */
  #abandon(): void {
    this.#leaves = true;
    this.#waiting.clear();
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

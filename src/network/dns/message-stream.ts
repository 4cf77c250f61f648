import type { OwnedFd } from "../../linux/fd.ts";
import { receiveSome, sendSome } from "../../linux/socket.ts";
import { setWordAt, wordAt } from "./message.ts";

const lengthSize = 2;

/** Messages over TCP, each behind its length: nothing here waits. RFC 1035 4.2.2, RFC 7766 8 */
export class MessageStream {
  readonly #socket: OwnedFd;
  readonly #longest: number;
  /** Made when something comes. */
  #input: Uint8Array | undefined;
  #received = 0;
  #output: Uint8Array | undefined;

  /** @param longest message that is taken; the memory for more than one of these is never needed */
  constructor(socket: OwnedFd, longest: number) {
    this.#socket = socket;
    this.#longest = longest;
  }

  /** Whether there is something that the other end has to take first. */
  get isSending(): boolean {
    return this.#output !== undefined;
  }

  /** Sends a message, or as much as goes now: only when nothing else {@link isSending}. @throws SystemCallError */
  send(message: Uint8Array): void {
    const bytes = new Uint8Array(lengthSize + message.length);
    setWordAt(bytes, 0, message.length);
    bytes.set(message, lengthSize);
    this.#output = bytes;
    this.flush();
  }

  /** Goes on sending. @throws SystemCallError */
  flush(): void {
    if (this.#output === undefined) return;
    const rest = this.#output.subarray(sendSome(this.#socket, this.#output));
    this.#output = rest.length === 0 ? undefined : rest;
  }

  /** Takes what has come, if there is room. @returns false at the end of the stream @throws SystemCallError */
  receive(): boolean {
    this.#input ??= new Uint8Array(lengthSize + this.#longest);
    if (this.#received === this.#input.length) return true;
    const bytes = receiveSome(this.#socket, this.#input.subarray(this.#received));
    if (bytes === undefined) return true;
    this.#received += bytes.length;
    return bytes.length > 0;
  }

  /** The next whole message, a copy; undefined as long as there is none, "too long" when that will not change. */
  next(): Uint8Array | "too long" | undefined {
    if (this.#input === undefined || this.#received < lengthSize) return undefined;
    const end = lengthSize + wordAt(this.#input, 0);
    if (end > this.#input.length) return "too long";
    if (this.#received < end) return undefined;
    const message = this.#input.slice(lengthSize, end);
    this.#input.copyWithin(0, end, this.#received);
    this.#received -= end;
    return message;
  }
}

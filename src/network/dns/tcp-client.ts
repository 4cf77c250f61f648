import type { OwnedFd } from "../../linux/fd.ts";
import { pollEvent } from "../../linux/poll.ts";
import { SystemCallError } from "../../util/errors.ts";
import { longestQuery } from "./answer.ts";
import { MessageStream } from "./message-stream.ts";

/** Milliseconds after which a client that does nothing is left. RFC 7766 6.2.3 */
export const longestSilence = 5_000;

/**
 * Somebody who asks over TCP: one query after the other, over one connection. The next one is read when the answer to
 * the last has been taken, so that a client costs a few kilobytes and one answer, whatever it does.
 */
export class TcpClient implements Disposable {
  readonly #socket: OwnedFd;
  readonly #stream: MessageStream;
  readonly #onQuery: (query: Uint8Array) => Disposable | undefined;
  /** The query that is being answered elsewhere. */
  #asked: Disposable | undefined;
  #isAnswered = true;
  #isServing = false;
  #hasEnded = false;
  #isOver = false;
  #lastActivity: number;

  /**
   * @param socket owned from now on
   * @param onQuery takes a query, and calls {@link answer} at once, later, or never: returns something to be disposed of
   *   when the client has gone before
   */
  constructor(socket: OwnedFd, now: number, onQuery: (query: Uint8Array) => Disposable | undefined) {
    this.#socket = socket;
    this.#stream = new MessageStream(socket, longestQuery);
    this.#onQuery = onQuery;
    this.#lastActivity = now;
  }

  /** It is done, or gone: to be disposed of. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** When it is left for its silence; Infinity as long as it is gocker that owes it something. */
  get dueAt(): number {
    return this.#asked === undefined ? this.#lastActivity + longestSilence : Infinity;
  }

  get wanted(): { readonly fd: number; readonly events: number } {
    const reads = this.#asked === undefined;
    const events = this.#stream.isSending ? pollEvent.writable : reads ? pollEvent.readable : 0;
    return { fd: this.#socket.number, events };
  }

  /** Does what there is to do by poll(2). */
  serve(ready: number, now: number): void {
    this.#lastActivity = now;
    this.#guard(() => {
      if ((ready & (pollEvent.failed | pollEvent.hungUp)) !== 0) this.#isOver = true;
      else if (this.#stream.isSending) this.#stream.flush();
      else if (!this.#stream.receive()) this.#hasEnded = true;
      this.#serveQueries();
    });
  }

  /** Sends the answer to the query that was taken last. */
  answer(message: Uint8Array, now: number): void {
    if (this.#isOver) return;
    this.#isAnswered = true;
    this.#asked = undefined;
    this.#lastActivity = now;
    this.#guard(() => {
      this.#stream.send(message);
      this.#serveQueries();
    });
  }

  #serveQueries(): void {
    // An answer that comes at once comes in the middle of this.
    if (this.#isServing) return;
    this.#isServing = true;
    try {
      while (!this.#isOver && this.#asked === undefined && !this.#stream.isSending) {
        const query = this.#stream.next();
        if (query === "too long" || (query === undefined && this.#hasEnded)) this.#isOver = true;
        if (typeof query !== "object") return;
        this.#isAnswered = false;
        const asked = this.#onQuery(query);
        if (!this.#isAnswered) this.#asked = asked;
      }
    } finally {
      this.#isServing = false;
    }
  }

  /** A connection that breaks ends for this client alone. */
  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.#isOver = true;
    }
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#asked?.[Symbol.dispose]();
    this.#socket.close();
  }
}

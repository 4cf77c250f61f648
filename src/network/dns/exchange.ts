import type { OwnedFd } from "../../linux/fd.ts";
import { openInternetSocket, type SocketAddress, startConnecting } from "../../linux/internet-socket.ts";
import { pollEvent } from "../../linux/poll.ts";
import { receiveSome, sendSome, socketError } from "../../linux/socket.ts";
import { SystemCallError } from "../../util/errors.ts";
import { longestMessage } from "./answer.ts";
import { judgeResponse, type Query, setWordAt } from "./message.ts";
import { MessageStream } from "./message-stream.ts";

/** How it went with one server. */
export interface Outcome {
  /** Another server may do better. */
  readonly hasFailed: boolean;
  /** What the server has sent; undefined when it cannot be reached, or when this is no answer. Valid until the next is read. */
  readonly message?: Uint8Array;
}

/** A query that one server has been sent, over a socket of its own: its port is as hard to guess as the number. RFC 5452 */
export interface Exchange extends Disposable {
  readonly wanted: { readonly fd: number; readonly events: number };
  /** Does what there is to do by poll(2). @param buffer for a message @returns undefined as long as there is no outcome */
  serve(ready: number, buffer: Uint8Array): Outcome | undefined;
  /** Sends the query again, where it may have been lost. @throws SystemCallError */
  repeat(): void;
}

export type Transport = "udp" | "tcp";

/** Sends a query to a server. @throws SystemCallError it cannot be reached from here */
export function startExchange(query: Query, server: SocketAddress, transport: Transport): Exchange {
  const socket = openInternetSocket(server.address.family, transport === "udp" ? "datagram" : "stream");
  try {
    startConnecting(socket, server);
    const asked = { bytes: renumbered(query.bytes), questionEnd: query.questionEnd };
    return transport === "udp" ? new DatagramExchange(socket, asked) : new StreamExchange(socket, asked);
  } catch (error) {
    socket.close();
    throw error;
  }
}

type Asked = Pick<Query, "bytes" | "questionEnd">;

/** A copy with a number that nobody can know. RFC 5452 9.2 */
function renumbered(query: Uint8Array): Uint8Array {
  const copy = query.slice();
  setWordAt(copy, 0, crypto.getRandomValues(new Uint16Array(1))[0] as number);
  return copy;
}

const failed: Outcome = { hasFailed: true };

/** How many datagrams are looked at before others have their turn. */
const mostAtOnce = 8;

/** Over UDP. The socket is connected: datagrams from elsewhere do not come in, and refusals do. */
class DatagramExchange implements Exchange {
  readonly #socket: OwnedFd;
  readonly #asked: Asked;

  constructor(socket: OwnedFd, asked: Asked) {
    this.#socket = socket;
    this.#asked = asked;
    this.repeat();
  }

  get wanted() {
    return { fd: this.#socket.number, events: pollEvent.readable };
  }

  repeat(): void {
    // What the socket does not take is lost like any other datagram.
    sendSome(this.#socket, this.#asked.bytes);
  }

  serve(_ready: number, buffer: Uint8Array): Outcome | undefined {
    return outcomeOf(() => {
      for (let count = 0; count < mostAtOnce; count++) {
        const message = receiveSome(this.#socket, buffer);
        if (message === undefined) return undefined;
        const response = judgeResponse(message, this.#asked.bytes, this.#asked.questionEnd);
        if (response !== "stranger") return { hasFailed: response === "failure", message };
      }
      return undefined;
    });
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** Over a connection of TCP. */
class StreamExchange implements Exchange {
  readonly #socket: OwnedFd;
  readonly #stream: MessageStream;
  readonly #asked: Asked;
  #isConnected = false;

  constructor(socket: OwnedFd, asked: Asked) {
    this.#socket = socket;
    this.#asked = asked;
    this.#stream = new MessageStream(socket, longestMessage);
  }

  get wanted() {
    const isWriting = !this.#isConnected || this.#stream.isSending;
    return { fd: this.#socket.number, events: isWriting ? pollEvent.writable : pollEvent.readable };
  }

  repeat(): void {
    // TCP does that itself.
  }

  serve(ready: number): Outcome | undefined {
    return outcomeOf(() => {
      if (!this.#isConnected) {
        if (socketError(this.#socket) !== 0) return failed;
        this.#isConnected = true;
        this.#stream.send(this.#asked.bytes);
        return undefined;
      }
      if ((ready & pollEvent.writable) !== 0) this.#stream.flush();
      if (ready === pollEvent.writable) return undefined;
      const isOpen = this.#stream.receive();
      const message = this.#stream.next();
      if (message === undefined) return isOpen ? undefined : failed;
      if (message === "too long") return failed;
      const response = judgeResponse(message, this.#asked.bytes, this.#asked.questionEnd);
      return response === "stranger" ? failed : { hasFailed: response === "failure", message };
    });
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** A server that refuses, or that there is no way to, has failed. */
function outcomeOf(act: () => Outcome | undefined): Outcome | undefined {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    return failed;
  }
}

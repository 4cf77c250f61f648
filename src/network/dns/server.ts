import { makeNonBlocking, type OwnedFd } from "../../linux/fd.ts";
import { pollEvent } from "../../linux/poll.ts";
import { acceptConnection, type Datagram, receiveDatagram, sendDatagram } from "../../linux/socket.ts";
import type { Waiting } from "../../linux/waiting.ts";
import { SystemCallError } from "../../util/errors.ts";
import { datagramLimit, encodeAnswer, longestMessage, longestQuery, refusal, truncatedAnswer } from "./answer.ts";
import type { Transport } from "./exchange.ts";
import { Forwarder } from "./forwarder.ts";
import { decodeQuery, headerFlag, type Query, type RefusedQuery, responseCode, setWordAt, wordAt } from "./message.ts";
import { type NameLookup, ownAnswer } from "./own-names.ts";
import { TcpClient } from "./tcp-client.ts";

export type { NameLookup } from "./own-names.ts";

export interface NameServerOptions {
  /** A socket of UDP that is bound to the server's address; owned from now on. */
  readonly udp: OwnedFd;
  /** A socket of TCP that listens there; owned from now on. */
  readonly tcp: OwnedFd;
  readonly lookup: NameLookup;
  /**
   * The servers that know all other names, looked for with each query, in gocker's own network, in the order in which they are
   * asked: addresses with or without a port. Without any the answer to other names is that they cannot be resolved (SERVFAIL), as with Docker.
   */
  readonly upstream: () => readonly string[];
  /** Told of what fails in the lookup; who has asked is told that too, without the reason. */
  readonly onError: (error: unknown) => void;
  /** Milliseconds of a clock that never goes back: the machine's own unless told. */
  readonly now?: () => number;
}

/** How many datagrams are served before others have their turn. */
const mostAtOnce = 64;

/** How many may be connected: for another one, who has been silent for longest is left. */
const mostClients = 64;

/** Milliseconds without the server's own sockets when one of them fails: without that it would fail again at once. */
const restTime = 1_000;

/**
 * The name server of one container: tells it the names of others, and asks the host's servers for all the rest, in its
 * own words. RFC 1035, RFC 5625. Nothing here waits: whoever has it waits for {@link waiting} and {@link timeout}.
 *
 * It is the container that sends queries, as many and as odd ones as it likes. None makes it throw; and their number
 * costs no memory beyond a fixed amount: 256 forwarded queries, 64 clients of TCP.
 */
export class NameServer implements Disposable {
  readonly #udp: OwnedFd;
  readonly #tcp: OwnedFd;
  readonly #lookup: NameLookup;
  readonly #onError: (error: unknown) => void;
  readonly #now: () => number;
  readonly #forwarder: Forwarder;
  /** Who has been silent for longest comes first. */
  readonly #clients = new Set<TcpClient>();
  readonly #buffer = new Uint8Array(longestQuery);
  #restUntil = -Infinity;

  /** @throws SystemCallError */
  constructor({ udp, tcp, lookup, upstream, onError, now = () => performance.now() }: NameServerOptions) {
    this.#udp = udp;
    this.#tcp = tcp;
    this.#lookup = lookup;
    this.#onError = onError;
    this.#now = now;
    const servers = () => {
      try {
        return upstream();
      } catch (error) {
        onError(error);
        return [];
      }
    };
    this.#forwarder = new Forwarder(servers, now);
    // A connection that is gone again when it is to be accepted must not let everybody wait for the next one.
    makeNonBlocking(tcp.number);
  }

  /** Whether nothing is under way: that a new query comes is all that there is to wait for. */
  get isIdle(): boolean {
    return this.#forwarder.isIdle && this.#clients.size === 0 && !this.#isResting;
  }

  /** Milliseconds until {@link expire} has something to do; undefined for never. */
  get timeout(): number | undefined {
    let dueAt = this.#forwarder.dueAt;
    for (const client of this.#clients) dueAt = Math.min(dueAt, client.dueAt);
    if (this.#isResting) dueAt = Math.min(dueAt, this.#restUntil);
    return dueAt === Infinity ? undefined : Math.max(0, dueAt - this.#now());
  }

  /** Does what is due by the clock. */
  expire(): void {
    const now = this.#now();
    this.#forwarder.expire(now);
    for (const client of this.#clients) {
      if (client.dueAt <= now) this.#drop(client);
    }
  }

  /** What is waited for, and what is done then. */
  *waiting(): Generator<Waiting> {
    if (!this.#isResting) {
      yield { fd: this.#udp.number, events: pollEvent.readable, serve: () => this.#serveDatagrams() };
      yield { fd: this.#tcp.number, events: pollEvent.readable, serve: () => this.#accept() };
    }
    for (const client of this.#clients) {
      yield { ...client.wanted, serve: (ready) => this.#serveClient(client, ready) };
    }
    yield* this.#forwarder.waiting();
  }

  get #isResting(): boolean {
    return this.#restUntil > this.#now();
  }

  #serveDatagrams(): void {
    for (let count = 0; count < mostAtOnce; count++) {
      const datagram = this.#orRest(() => receiveDatagram(this.#udp, this.#buffer));
      if (datagram === undefined) return;
      this.#serveDatagram(datagram);
    }
  }

  #serveDatagram({ bytes, length, source }: Datagram): void {
    // The buffer is for the next one: what is kept is a copy.
    const query = decodeQuery(bytes.slice());
    if (query === undefined) return;
    const send = (answer: Uint8Array) => this.#sendDatagram(answer, source);
    if (length > bytes.length) send(refusal(query, responseCode.formatError));
    else this.#answer(query, "udp", send);
  }

  /** An answer that cannot be sent, by a rule of the container's firewall for one, is lost like any other datagram. */
  #sendDatagram(answer: Uint8Array, destination: Uint8Array): void {
    try {
      sendDatagram(this.#udp, answer, destination);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
    }
  }

  /** @returns what is to be disposed of when nobody wants the answer any more; undefined when nothing more comes */
  #answer(
    query: Query | RefusedQuery,
    transport: Transport,
    send: (answer: Uint8Array) => void,
  ): Disposable | undefined {
    if ("code" in query) {
      send(refusal(query, query.code));
      return undefined;
    }
    const limit = transport === "udp" ? datagramLimit(query) : longestMessage;
    const own = this.#ownAnswer(query, limit);
    if (own === undefined) {
      return this.#forwarder.ask(query, transport, (answer) => send(forwardedAnswer(query, answer, limit)));
    }
    send(own);
    return undefined;
  }

  #ownAnswer(query: Query, limit: number): Uint8Array | undefined {
    try {
      const own = ownAnswer(query, this.#lookup);
      return own && encodeAnswer(query, own, limit);
    } catch (error) {
      this.#onError(error);
      return refusal(query, responseCode.serverFailure);
    }
  }

  #accept(): void {
    const socket = this.#orRest(() => acceptConnection(this.#tcp));
    if (socket === undefined) return;
    const [silent] = this.#clients;
    if (silent !== undefined && this.#clients.size >= mostClients) this.#drop(silent);
    const client: TcpClient = new TcpClient(socket, this.#now(), (bytes) => {
      const query = decodeQuery(bytes);
      if (query === undefined) return undefined;
      return this.#answer(query, "tcp", (answer) => {
        client.answer(answer, this.#now());
        this.#afterUse(client);
      });
    });
    this.#clients.add(client);
  }

  #serveClient(client: TcpClient, ready: number): void {
    // Another one may have taken its place meanwhile.
    if (client.isOver) return;
    client.serve(ready, this.#now());
    this.#afterUse(client);
  }

  #afterUse(client: TcpClient): void {
    if (client.isOver) return this.#drop(client);
    this.#clients.delete(client);
    this.#clients.add(client);
  }

  #drop(client: TcpClient): void {
    this.#clients.delete(client);
    client[Symbol.dispose]();
  }

  /** Does something with a socket of the server's own, which goes on failing where it does: for want of descriptors, say. */
  #orRest<Result>(act: () => Result): Result | undefined {
    try {
      return act();
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.#onError(error);
      this.#restUntil = this.#now() + restTime;
      return undefined;
    }
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client[Symbol.dispose]();
    this.#clients.clear();
    this.#forwarder[Symbol.dispose]();
    this.#udp.close();
    this.#tcp.close();
  }
}

/** What is passed on of a server's answer to who has asked. @param answer undefined when there is none */
function forwardedAnswer(query: Query, answer: Uint8Array | undefined, limit: number): Uint8Array {
  if (answer === undefined) return refusal(query, responseCode.serverFailure);
  // Without the question nobody would take it.
  if (wordAt(answer, 4) === 0) return refusal(query, wordAt(answer, 2) & headerFlag.code);
  if (answer.length > limit) return truncatedAnswer(query, answer);
  setWordAt(answer, 0, wordAt(query.bytes, 0));
  return answer;
}

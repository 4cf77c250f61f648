import type { SocketAddress } from "../../linux/internet-socket.ts";
import type { Waiting } from "../../linux/waiting.ts";
import { SystemCallError } from "../../util/errors.ts";
import { type Exchange, type Outcome, startExchange, type Transport } from "./exchange.ts";
import type { Query } from "./message.ts";

/** Milliseconds after which the next server is asked as well. */
const patience = 1_500;

/** Milliseconds after which there is no answer: libc asks again after 5 seconds. resolv.conf(5) */
const longestTime = 4_500;

/** A server, and how it went with it. */
interface Server {
  readonly address: SocketAddress;
  exchange: Exchange | undefined;
  hasFailed: boolean;
}

/**
 * A query that the host's servers are asked. One after the other, until one of them answers; those who have been asked may
 * still be the first, and are asked again when nobody else is left who has not failed.
 */
export class ForwardedQuery implements Disposable {
  readonly #query: Query;
  readonly #transport: Transport;
  readonly #servers: readonly Server[];
  readonly #onEnd: (answer: Uint8Array | undefined) => void;
  readonly #deadline: number;
  #dueAt: number;
  #next = 0;
  #isOver = false;

  /**
   * @param now in milliseconds, of the same clock as everywhere here
   * @param onEnd told once of the answer, with another number than the query's; undefined when there is none
   */
  constructor(
    query: Query,
    {
      transport,
      upstream,
      now,
      onEnd,
    }: {
      readonly transport: Transport;
      readonly upstream: readonly SocketAddress[];
      readonly now: number;
      readonly onEnd: (answer: Uint8Array | undefined) => void;
    },
  ) {
    this.#query = query;
    this.#transport = transport;
    this.#servers = upstream.map((address) => ({ address, exchange: undefined, hasFailed: false }));
    this.#onEnd = onEnd;
    this.#deadline = now + longestTime;
    this.#dueAt = now;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** When {@link proceed} is due. */
  get dueAt(): number {
    return this.#dueAt;
  }

  /** @param buffer for a message that comes */
  *waiting(buffer: () => Uint8Array, now: () => number): Generator<Waiting> {
    for (const server of this.#servers) {
      const { exchange } = server;
      if (exchange === undefined) continue;
      const serve = (ready: number) => {
        // Something else that was served meanwhile may have ended it.
        if (server.exchange === exchange) this.#serve(server, exchange.serve(ready, buffer()), now);
      };
      yield { ...exchange.wanted, serve };
    }
  }

  #serve(server: Server, outcome: Outcome | undefined, now: () => number): void {
    if (outcome === undefined) return;
    if (!outcome.hasFailed) return this.#end(outcome.message);
    this.#fail(server);
    // The last one's own words say most.
    if (this.#servers.every(({ hasFailed }) => hasFailed)) return this.#end(outcome.message);
    const isUnasked = this.#servers.some(({ exchange, hasFailed }) => exchange === undefined && !hasFailed);
    if (isUnasked) this.proceed(now());
  }

  /** Asks the next server, if there is one and there is time. */
  proceed(now: number): void {
    if (now >= this.#deadline) return this.#end(undefined);
    for (let server = this.#nextServer(); server !== undefined; server = this.#nextServer()) {
      if (this.#ask(server)) {
        this.#dueAt = Math.min(now + patience, this.#deadline);
        return;
      }
      this.#fail(server);
    }
    this.#end(undefined);
  }

  /** In turns: who has not been asked yet comes before who has. */
  #nextServer(): Server | undefined {
    const order = [...this.#servers.slice(this.#next), ...this.#servers.slice(0, this.#next)];
    const server = order.find(({ hasFailed }) => !hasFailed);
    if (server !== undefined) this.#next = this.#servers.indexOf(server) + 1;
    return server;
  }

  /** @returns false when it cannot be asked */
  #ask(server: Server): boolean {
    try {
      if (server.exchange === undefined) {
        server.exchange = startExchange(this.#query, server.address, this.#transport);
      } else {
        server.exchange.repeat();
      }
      return true;
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      return false;
    }
  }

  #fail(server: Server): void {
    server.hasFailed = true;
    server.exchange?.[Symbol.dispose]();
    server.exchange = undefined;
  }

  /** There is no time or no place for it any more. */
  giveUp(): void {
    this.#end(undefined);
  }

  #end(answer: Uint8Array | undefined): void {
    if (this.#isOver) return;
    this[Symbol.dispose]();
    this.#onEnd(answer);
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    for (const server of this.#servers) {
      server.exchange?.[Symbol.dispose]();
      server.exchange = undefined;
    }
  }
}

import { parseSocketAddress, type SocketAddress } from "../../linux/internet-socket.ts";
import type { Waiting } from "../../linux/waiting.ts";
import { longestMessage } from "./answer.ts";
import type { Transport } from "./exchange.ts";
import { ForwardedQuery } from "./forwarded-query.ts";
import type { Query } from "./message.ts";

const usualPort = 53;

/** How many servers are asked, as by libc. resolv.conf(5), MAXNS */
const mostServers = 3;

/** How many queries may be under way: for another one the oldest is given up. */
const mostQueries = 256;

/** What is forwarded to the host's servers. */
export class Forwarder implements Disposable {
  readonly #upstream: () => readonly string[];
  readonly #now: () => number;
  /** The oldest first. */
  readonly #queries = new Set<ForwardedQuery>();
  #buffer: Uint8Array | undefined;

  /**
   * @param upstream asked for each query: addresses of servers, see {@link parseSocketAddress}; what is none is left out, as
   *   libc does
   * @param now milliseconds of a clock that never goes back
   */
  constructor(upstream: () => readonly string[], now: () => number) {
    this.#upstream = upstream;
    this.#now = now;
  }

  get #servers(): SocketAddress[] {
    return this.#upstream()
      .map((text) => parseSocketAddress(text, usualPort))
      .filter((server): server is SocketAddress => server !== undefined)
      .slice(0, mostServers);
  }

  get isIdle(): boolean {
    return this.#queries.size === 0;
  }

  /**
   * Asks the servers.
   * @param onEnd told once of the answer, with another number than the query's, valid until it returns; undefined when
   *   there is none
   * @returns to be disposed of when nobody wants the answer any more
   */
  ask(query: Query, transport: Transport, onEnd: (answer: Uint8Array | undefined) => void): Disposable {
    // Who is told so may ask the next one at once.
    while (this.#queries.size >= mostQueries) this.#queries.values().next().value?.giveUp();
    const now = this.#now();
    const forwarded: ForwardedQuery = new ForwardedQuery(query, {
      transport,
      upstream: this.#servers,
      now,
      onEnd: (answer) => {
        this.#queries.delete(forwarded);
        onEnd(answer);
      },
    });
    this.#queries.add(forwarded);
    forwarded.proceed(now);
    return {
      [Symbol.dispose]: () => {
        this.#queries.delete(forwarded);
        forwarded[Symbol.dispose]();
      },
    };
  }

  *waiting(): Generator<Waiting> {
    const buffer = () => (this.#buffer ??= new Uint8Array(longestMessage));
    for (const query of this.#queries) yield* query.waiting(buffer, this.#now);
  }

  /** When something is due by the clock; Infinity for never. */
  get dueAt(): number {
    let first = Infinity;
    for (const { dueAt } of this.#queries) first = Math.min(first, dueAt);
    return first;
  }

  /** Does what is due. */
  expire(now: number): void {
    for (const query of this.#queries) {
      if (query.dueAt <= now) query.proceed(now);
    }
  }

  [Symbol.dispose](): void {
    for (const query of this.#queries) query[Symbol.dispose]();
    this.#queries.clear();
  }
}

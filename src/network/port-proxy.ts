import { OwnedFd } from "../linux/fd.ts";
import { fileLimit } from "../linux/limits.ts";
import { pollEvent } from "../linux/poll.ts";
import type { Waiting } from "../linux/waiting.ts";
import { type Watch, WatchSet } from "../linux/watch-set.ts";
import { ProxiedDatagrams } from "./proxied-datagrams.ts";
import { type ProxiedPort, targetOf } from "./proxied-port.ts";
import { ProxiedStreams } from "./proxied-streams.ts";
import type { Publication } from "./publication.ts";

/** How many connections are passed on at once, where the process may have as many files open as that takes. */
const mostConnections = 4096;

/** As much as passes from one socket to another at once: the longest datagram. */
const bufferSize = 0x1_0000;

/** Milliseconds without accepting when gocker has no descriptor left for another connection. */
const restTime = 200;

export interface PortProxyOptions {
  /** Milliseconds of a clock that never goes back: the machine's own unless told. */
  readonly now?: () => number;
  /** How many connections are passed on at once: as many as there may be unless told. */
  readonly most?: number;
}

/**
 * Passes on what comes to a published port of the host itself and not, as nearly everything, by the firewall's translation
 * of addresses: what comes to `::1`, which the kernel never sends elsewhere, by IPv6 to a container without it, and
 * what comes when somebody has removed gocker's rules.
 *
 * Strangers decide how much that is. It costs a fixed amount of memory and descriptors at most, and a round takes as long
 * as what has happened, not as what there is. See {@link ProxiedStreams} and {@link ProxiedDatagrams}.
 */
export class PortProxy implements Disposable {
  readonly #publications: () => readonly Publication[];
  readonly #ports: readonly ProxiedPort[];
  readonly #listening: readonly Watch[];
  readonly #watches: WatchSet;
  readonly #streams: ProxiedStreams;
  readonly #datagrams: ProxiedDatagrams;
  readonly #now: () => number;
  #restUntil = -Infinity;

  /**
   * @param publications as they are on record; where one leads may change, nothing else of them
   * @param sockets one for each publication, owned from now on
   * @throws SystemCallError
   */
  constructor(
    publications: () => readonly Publication[],
    sockets: readonly number[],
    { now = () => performance.now(), most = affordableConnections(sockets.length) }: PortProxyOptions = {},
  ) {
    using cleanup = new DisposableStack();
    this.#now = now;
    this.#publications = publications;
    this.#ports = publications().flatMap((publication, index) => {
      const number = sockets[index];
      if (number === undefined) return [];
      return [{ socket: cleanup.use(new OwnedFd(number)), target: targetOf(publication), publication }];
    });
    this.#watches = cleanup.use(new WatchSet());
    const buffer = new Uint8Array(bufferSize);
    this.#streams = new ProxiedStreams(most, this.#watches, buffer);
    this.#datagrams = new ProxiedDatagrams(this.#watches, buffer, now);
    this.#listening = this.#ports.flatMap((port) => this.#listen(port));
    cleanup.move();
  }

  /** @returns what is given up while there is nothing to accept connections with */
  #listen(port: ProxiedPort): Watch[] {
    if (port.publication.protocol === "udp") {
      this.#watches.add(port.socket, pollEvent.readable, () => this.#datagrams.passOn(port));
      return [];
    }
    const accept = () => {
      if (this.#restUntil === -Infinity && !this.#streams.accept(port)) this.#rest();
    };
    return [this.#watches.add(port.socket, pollEvent.readable, accept)];
  }

  #rest(): void {
    this.#restUntil = this.#now() + restTime;
    for (const watch of this.#listening) watch.change(0);
  }

  /** Has new connections and datagrams go where the ports lead by now. */
  refresh(): void {
    for (const [index, publication] of this.#publications().entries()) {
      const port = this.#ports[index];
      if (port === undefined || port.publication.containerAddress === publication.containerAddress) continue;
      Object.assign(port, { target: targetOf(publication), publication });
      this.#datagrams.forgetSendersTo(port);
    }
  }

  /** Whether nothing is under way: that somebody comes is all that there is to wait for. */
  get isIdle(): boolean {
    return this.#streams.isEmpty && this.#datagrams.isEmpty && this.#restUntil === -Infinity;
  }

  /** Milliseconds until {@link expire} has something to do; undefined for never. */
  get timeout(): number | undefined {
    const restUntil = this.#restUntil === -Infinity ? Infinity : this.#restUntil;
    const dueAt = Math.min(this.#datagrams.dueAt, restUntil);
    return dueAt === Infinity ? undefined : Math.max(0, dueAt - this.#now());
  }

  /** Does what is due by the clock. */
  expire(): void {
    const now = this.#now();
    this.#datagrams.expire(now);
    if (this.#restUntil === -Infinity || this.#restUntil > now) return;
    this.#restUntil = -Infinity;
    for (const watch of this.#listening) watch.change(pollEvent.readable);
  }

  /** What is waited for, and what is done then. */
  *waiting(): Generator<Waiting> {
    yield { fd: this.#watches.number, events: pollEvent.readable, serve: () => this.#watches.serve() };
  }

  [Symbol.dispose](): void {
    this.#streams[Symbol.dispose]();
    this.#datagrams[Symbol.dispose]();
    this.#watches[Symbol.dispose]();
    for (const { socket } of this.#ports) socket.close();
  }
}

/** Each takes two descriptors: half of those that the ports leave. The other half is for all else that a monitor does. */
function affordableConnections(ports: number): number {
  return Math.min(mostConnections, Math.max(1, Math.floor((fileLimit() - ports) / 4)));
}

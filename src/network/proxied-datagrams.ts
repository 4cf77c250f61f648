import type { OwnedFd } from "../linux/fd.ts";
import { openInternetSocket, startConnecting } from "../linux/internet-socket.ts";
import { pollEvent } from "../linux/poll.ts";
import { receiveDatagram, sendDatagram, sendSome } from "../linux/socket.ts";
import type { Watch, WatchSet } from "../linux/watch-set.ts";
import { SystemCallError } from "../util/errors.ts";
import { FairShares } from "./fair-shares.ts";
import type { ProxiedPort } from "./proxied-port.ts";

/**
 * How many senders have a way of their own: for another one, one is forgotten who has been silent for longest, of a port
 * that has most.
 */
const mostSenders = 256;

/** Milliseconds after which a sender is forgotten. */
const senderTimeout = 60_000;

/** How many datagrams are passed on before others have their turn. */
const mostAtOnce = 64;

/** Somebody who sends datagrams to a port, by a socket of his own to the container. */
interface Sender {
  readonly key: string;
  readonly port: ProxiedPort;
  readonly source: Uint8Array;
  readonly socket: OwnedFd;
  readonly watch: Watch;
  lastAt: number;
}

/** The datagrams of UDP that are passed on, and the answers to them. */
export class ProxiedDatagrams implements Disposable {
  readonly #byKey = new Map<string, Sender>();
  readonly #senders = new FairShares<ProxiedPort, Sender>();
  readonly #watches: WatchSet;
  readonly #buffer: Uint8Array;
  readonly #now: () => number;

  /** @param buffer for one that is under way: as long as the longest */
  constructor(watches: WatchSet, buffer: Uint8Array, now: () => number) {
    this.#watches = watches;
    this.#buffer = buffer;
    this.#now = now;
  }

  get isEmpty(): boolean {
    return this.#senders.size === 0;
  }

  /** When {@link expire} has something to do; Infinity for never. */
  get dueAt(): number {
    let dueAt = Infinity;
    for (const { lastAt } of this.#senders) dueAt = Math.min(dueAt, lastAt + senderTimeout);
    return dueAt;
  }

  expire(now: number): void {
    for (const sender of this.#senders) if (sender.lastAt + senderTimeout <= now) this.#forget(sender);
  }

  /** Passes on what has come to a port. */
  passOn(port: ProxiedPort): void {
    for (let count = 0; count < mostAtOnce; count++) {
      const datagram = receiveDatagram(port.socket, this.#buffer);
      if (datagram === undefined) return;
      const sender = this.#senderOf(port, datagram.source);
      if (sender === undefined) continue;
      ignoreRefusal(() => sendSome(sender.socket, datagram.bytes));
    }
  }

  #senderOf(port: ProxiedPort, source: Uint8Array): Sender | undefined {
    const key = `${port.socket.number} ${Buffer.from(source).toString("hex")}`;
    const sender = this.#byKey.get(key) ?? ignoreRefusal(() => this.#newSender(key, port, source.slice()));
    if (sender === undefined) return undefined;
    sender.lastAt = this.#now();
    this.#senders.use(port, sender);
    return sender;
  }

  /** @throws SystemCallError */
  #newSender(key: string, port: ProxiedPort, source: Uint8Array): Sender | undefined {
    const { target } = port;
    if (target === undefined) return undefined;
    const dispensable = this.#senders.size < mostSenders ? undefined : this.#senders.dispensable;
    if (dispensable !== undefined) this.#forget(dispensable);
    using cleanup = new DisposableStack();
    const socket = cleanup.use(openInternetSocket(target.address.family, "datagram"));
    startConnecting(socket, target);
    const watch = this.#watches.add(socket, pollEvent.readable, () => this.#answer(sender));
    const sender: Sender = { key, port, source, socket, watch, lastAt: this.#now() };
    this.#byKey.set(key, sender);
    cleanup.move();
    return sender;
  }

  #answer(sender: Sender): void {
    for (let count = 0; count < mostAtOnce; count++) {
      try {
        const datagram = receiveDatagram(sender.socket, this.#buffer);
        if (datagram === undefined) return;
        sendDatagram(sender.port.socket, datagram.bytes, sender.source);
      } catch (error) {
        if (!(error instanceof SystemCallError)) throw error;
        // Nobody listens in the container: who has sent is told nothing, as by UDP itself, and is forgotten.
        this.#forget(sender);
        return;
      }
    }
  }

  /** A port leads elsewhere: those who have sent something to it begin anew. */
  forgetSendersTo(port: ProxiedPort): void {
    for (const sender of this.#senders) if (sender.port === port) this.#forget(sender);
  }

  #forget(sender: Sender): void {
    this.#byKey.delete(sender.key);
    this.#senders.remove(sender.port, sender);
    sender.watch.end();
    sender.socket.close();
  }

  [Symbol.dispose](): void {
    for (const sender of this.#senders) this.#forget(sender);
  }
}

/** A datagram that the kernel does not take is lost, as any may be. */
function ignoreRefusal<Result>(deed: () => Result): Result | undefined {
  try {
    return deed();
  } catch (error) {
    if (error instanceof SystemCallError) return undefined;
    throw error;
  }
}

import { errnos } from "../linux/errno.ts";
import { OwnedFd } from "../linux/fd.ts";
import { encodeSocketAddress, openInternetSocket, startConnecting } from "../linux/internet-socket.ts";
import { pollEvent } from "../linux/poll.ts";
import { acceptConnection, receiveDatagram, sendDatagram } from "../linux/socket.ts";
import type { Waiting } from "../linux/waiting.ts";
import { SystemCallError } from "../util/errors.ts";
import { parseIpAddress } from "../util/ip-address.ts";
import { ProxiedConnection } from "./proxied-connection.ts";
import type { Publication } from "./publication.ts";

/** How many connections are passed on at once; others wait in the kernel's queue. */
const mostConnections = 256;

/** How many senders of UDP have a way of their own; who has been silent for longest loses it. */
const mostSenders = 256;

/** Milliseconds after which a sender of UDP is forgotten. */
const senderTimeout = 60_000;

/** The largest datagram. */
const longestDatagram = 0x1_0000;

/** No descriptor, or no memory, is left for another socket. accept(2), socket(2) */
const lacksOfDescriptors: ReadonlySet<number> = new Set([errnos.EMFILE, errnos.ENFILE, errnos.ENOBUFS, errnos.ENOMEM]);

/** How many connections are accepted, and datagrams passed on, before others have their turn. */
const mostAtOnce = 64;

/** Milliseconds without accepting when gocker has no descriptor left for another connection. */
const restTime = 200;

/** A port of the host, and what it leads to. */
interface ProxiedPort {
  readonly socket: OwnedFd;
  /** Undefined while it leads nowhere: the container has left the network by which it was reached. */
  target: Uint8Array | undefined;
  publication: Publication;
}

/** Somebody who sends datagrams to a port, by a socket of his own to the container. */
interface Sender {
  readonly port: ProxiedPort;
  readonly source: Uint8Array;
  readonly socket: OwnedFd;
  readonly target: Uint8Array;
  lastAt: number;
}

/**
 * Passes on what comes to a published port of the host itself and not, as nearly everything, by the firewall's translation
 * of addresses: what comes to `::1`, which the kernel never sends elsewhere, by IPv6 to a container without it, and
 * what comes when somebody has removed gocker's rules.
 */
export class PortProxy implements Disposable {
  readonly #publications: () => readonly Publication[];
  readonly #ports: readonly ProxiedPort[];
  readonly #connections = new Set<ProxiedConnection>();
  /** By port and source; who has been silent for longest comes first. */
  readonly #senders = new Map<string, Sender>();
  readonly #buffer = new Uint8Array(longestDatagram);
  readonly #now: () => number;
  #restUntil = -Infinity;

  /**
   * @param publications as they are on record; where one leads may change, nothing else of them
   * @param sockets one for each publication, owned from now on
   */
  constructor(publications: () => readonly Publication[], sockets: readonly number[], now = () => performance.now()) {
    this.#now = now;
    this.#publications = publications;
    this.#ports = publications().flatMap((publication, index) => {
      const number = sockets[index];
      return number === undefined ? [] : [{ socket: new OwnedFd(number), target: targetOf(publication), publication }];
    });
  }

  /** Has new connections and datagrams go where the ports lead by now. */
  refresh(): void {
    for (const [index, publication] of this.#publications().entries()) {
      const port = this.#ports[index];
      if (port === undefined || port.publication.containerAddress === publication.containerAddress) continue;
      Object.assign(port, { target: targetOf(publication), publication });
      for (const [key, sender] of this.#senders) if (sender.port === port) this.#forget(key, sender);
    }
  }

  /** Whether nothing is under way: that somebody comes is all that there is to wait for. */
  get isIdle(): boolean {
    return this.#connections.size === 0 && this.#senders.size === 0 && this.#restUntil === -Infinity;
  }

  /** Milliseconds until {@link expire} has something to do; undefined for never. */
  get timeout(): number | undefined {
    const [oldest] = this.#senders.values();
    const dueAt = Math.min(
      oldest === undefined ? Infinity : oldest.lastAt + senderTimeout,
      this.#restUntil === -Infinity ? Infinity : this.#restUntil,
    );
    return dueAt === Infinity ? undefined : Math.max(0, dueAt - this.#now());
  }

  /** Does what is due by the clock. */
  expire(): void {
    const now = this.#now();
    if (this.#restUntil <= now) this.#restUntil = -Infinity;
    for (const [key, sender] of this.#senders) {
      if (sender.lastAt + senderTimeout > now) break;
      this.#forget(key, sender);
    }
  }

  /** What is waited for, and what is done then. */
  *waiting(): Generator<Waiting> {
    const accepts = this.#connections.size < mostConnections && this.#restUntil === -Infinity;
    for (const port of this.#ports) {
      const isDatagram = port.publication.protocol === "udp";
      if (!isDatagram && !accepts) continue;
      const serve = () => (isDatagram ? this.#passOn(port) : this.#accept(port));
      yield { fd: port.socket.number, events: pollEvent.readable, serve };
    }
    for (const connection of this.#connections) {
      for (const one of connection.waiting()) {
        yield {
          ...one,
          serve: (ready) => {
            one.serve(ready);
            if (connection.isOver) this.#connections.delete(connection);
          },
        };
      }
    }
    for (const [key, sender] of this.#senders) {
      yield { fd: sender.socket.number, events: pollEvent.readable, serve: () => this.#answer(key, sender) };
    }
  }

  #accept(port: ProxiedPort): void {
    for (let count = 0; count < mostAtOnce && this.#connections.size < mostConnections; count++) {
      try {
        if (!this.#acceptOne(port)) return;
      } catch (error) {
        if (!(error instanceof SystemCallError)) throw error;
        // Whoever came is gone with his socket.
        if (!lacksOfDescriptors.has(error.errno)) continue;
        // He is still in the queue, and would be again at once.
        this.#restUntil = this.#now() + restTime;
        return;
      }
    }
  }

  /** @returns false when nobody is there */
  #acceptOne({ socket, publication, target }: ProxiedPort): boolean {
    using cleanup = new DisposableStack();
    const client = acceptConnection(socket);
    if (client === undefined) return false;
    cleanup.use(client);
    if (target === undefined) return true;
    const server = cleanup.use(openInternetSocket(familyOf(target), "stream"));
    startConnecting(server, addressOf(publication));
    this.#connections.add(new ProxiedConnection(client, server));
    cleanup.move();
    return true;
  }

  #passOn(port: ProxiedPort): void {
    for (let count = 0; count < mostAtOnce; count++) {
      const datagram = receiveDatagram(port.socket, this.#buffer);
      if (datagram === undefined) return;
      const sender = this.#senderOf(port, datagram.source);
      if (sender === undefined) continue;
      ignoreRefusal(() => sendDatagram(sender.socket, datagram.bytes, sender.target));
    }
  }

  #senderOf(port: ProxiedPort, source: Uint8Array): Sender | undefined {
    const { target } = port;
    if (target === undefined) return undefined;
    const key = `${port.socket.number} ${Buffer.from(source).toString("hex")}`;
    const known = this.#senders.get(key);
    if (known !== undefined) {
      // The last one is at the end.
      this.#senders.delete(key);
      this.#senders.set(key, known);
      known.lastAt = this.#now();
      return known;
    }
    const [oldest] = this.#senders;
    if (oldest !== undefined && this.#senders.size >= mostSenders) this.#forget(...oldest);
    return ignoreRefusal(() => {
      using cleanup = new DisposableStack();
      const socket = cleanup.use(openInternetSocket(familyOf(target), "datagram"));
      startConnecting(socket, addressOf(port.publication));
      const sender = { port, source: source.slice(), socket, target, lastAt: this.#now() };
      this.#senders.set(key, sender);
      cleanup.move();
      return sender;
    });
  }

  #answer(key: string, sender: Sender): void {
    for (let count = 0; count < mostAtOnce; count++) {
      try {
        const datagram = receiveDatagram(sender.socket, this.#buffer);
        if (datagram === undefined) return;
        sendDatagram(sender.port.socket, datagram.bytes, sender.source);
      } catch (error) {
        if (!(error instanceof SystemCallError)) throw error;
        // Nobody listens in the container: who has sent is told nothing, as by UDP itself, and is forgotten.
        this.#forget(key, sender);
        return;
      }
    }
  }

  #forget(key: string, { socket }: Sender): void {
    this.#senders.delete(key);
    socket.close();
  }

  [Symbol.dispose](): void {
    for (const { socket } of this.#ports) socket.close();
    for (const connection of this.#connections) connection[Symbol.dispose]();
    for (const { socket } of this.#senders.values()) socket.close();
    this.#connections.clear();
    this.#senders.clear();
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

function targetOf({ containerAddress, containerPort }: Publication): Uint8Array | undefined {
  const address = parseIpAddress(containerAddress);
  return address === undefined ? undefined : encodeSocketAddress({ address, port: containerPort });
}

function addressOf({ containerAddress, containerPort }: Publication) {
  const address = parseIpAddress(containerAddress);
  if (address === undefined) throw new TypeError(`${containerAddress} is no address`);
  return { address, port: containerPort };
}

function familyOf(target: Uint8Array): 4 | 6 {
  return target.length === 16 ? 4 : 6;
}

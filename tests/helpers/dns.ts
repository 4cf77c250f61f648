import { ptr } from "bun:ffi";
import {
  bindSocket,
  formatSocketAddress,
  listenAt,
  localAddress,
  openInternetSocket,
  parseSocketAddress,
  type SocketAddress,
  startConnecting,
} from "../../src/linux/internet-socket.ts";
import type { OwnedFd } from "../../src/linux/fd.ts";
import { libc } from "../../src/linux/libc.ts";
import { pollAll } from "../../src/linux/poll.ts";
import {
  acceptConnection,
  receiveDatagram,
  receiveSome,
  sendDatagram,
  sendSome,
  setSocketOption,
} from "../../src/linux/socket.ts";
import { syscallNumber } from "../../src/linux/syscalls.ts";
import { NameServer, type NameServerOptions } from "../../src/network/dns/server.ts";
import { SystemCallError } from "../../src/util/errors.ts";
import { patience } from "./patience.ts";

export const queryTypes = { A: 1, MX: 15, TXT: 16, AAAA: 28, PTR: 12 } as const;

/** A query as clients send it. @param datagram the size in an OPT record; none without */
export function makeQuery(name: string, type = 1, { id = 0x1234, datagram }: { id?: number; datagram?: number } = {}) {
  const labels = name.split(".").filter((label) => label !== "");
  const question = [...labels.flatMap((label) => [label.length, ...Buffer.from(label)]), 0, 0, type, 0, 1];
  const header = [id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, datagram === undefined ? 0 : 1];
  const extension = datagram === undefined ? [] : [0, 0, 41, datagram >> 8, datagram & 0xff, 0, 0, 0, 0, 0, 0];
  return Buffer.from([...header, ...question, ...extension]);
}

/** What is in the header of an answer. */
export function headerOf(message: Buffer) {
  const [id, flags, , answers] = [0, 2, 4, 6].map((at) => message.readUInt16BE(at)) as [number, number, number, number];
  return { id, code: flags & 15, isTruncated: (flags & 0x200) !== 0, answers };
}

/** The answer to a query, as a server gives it. @param addresses of IPv4 */
export function makeAnswer(
  query: Buffer,
  {
    addresses = [],
    code = 0,
    flags = 0,
    padding = 0,
  }: { addresses?: string[]; code?: number; flags?: number; padding?: number } = {},
) {
  let end = 12;
  while (query[end] !== 0) end += 1 + (query[end] as number);
  const answer = Buffer.from(query.subarray(0, end + 5));
  answer.writeUInt16BE(0x8180 | flags | code, 2);
  const records = addresses.map((address) => [
    0xc0,
    12,
    0,
    1,
    0,
    1,
    0,
    0,
    0,
    60,
    0,
    4,
    ...address.split(".").map(Number),
  ]);
  if (padding > 0)
    records.push([0xc0, 12, 0, 10, 0, 1, 0, 0, 0, 0, padding >> 8, padding & 0xff, ...Buffer.alloc(padding)]);
  answer.writeUInt16BE(records.length, 6);
  answer.writeUInt16BE(0, 8);
  answer.writeUInt16BE(0, 10);
  return Buffer.concat([answer, Buffer.from(records.flat())]);
}

/** The addresses of IPv4 in an answer of nothing else. */
export function addressesIn(query: Buffer, answer: Buffer): string[] {
  let end = 12;
  while (query[end] !== 0) end += 1 + (query[end] as number);
  return Array.from({ length: headerOf(answer).answers }, (_, index) => {
    const at = end + 5 + index * 16;
    return [...answer.subarray(at + 12, at + 16)].join(".");
  });
}

/** A message over TCP. */
export function framed(message: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([message.length >> 8, message.length & 0xff]), message]);
}

const loopback = (port: number) => parseSocketAddress("127.0.0.1", port) as SocketAddress;

/** A pair of sockets for UDP and TCP at one port that the kernel has chosen. */
function openBoth(address = loopback(0)): { readonly udp: OwnedFd; readonly tcp: OwnedFd; readonly at: SocketAddress } {
  for (;;) {
    const udp = openInternetSocket(address.address.family, "datagram");
    const tcp = openInternetSocket(address.address.family, "stream");
    bindSocket(udp, address);
    const at = localAddress(udp);
    try {
      listenAt(tcp, at);
      return { udp, tcp, at };
    } catch (error) {
      // The port may be free for UDP alone.
      udp.close();
      tcp.close();
      if (!(error instanceof SystemCallError && error.errnoName === "EADDRINUSE")) throw error;
    }
  }
}

/** shutdown(2) */
function shutDown({ number }: OwnedFd, direction: number): void {
  libc.syscall(syscallNumber("shutdown"), number, direction, 0, 0, 0, 0);
}

/** A query that a server was sent. */
export interface SentQuery {
  readonly message: Buffer;
  /** The asker's address. */
  readonly source: Uint8Array;
}

/** A server of the host's that does what the test says. */
export class FakeUpstream implements Disposable {
  readonly udp: OwnedFd;
  readonly tcp: OwnedFd;
  readonly #at: SocketAddress;

  constructor(address?: SocketAddress) {
    ({ udp: this.udp, tcp: this.tcp, at: this.#at } = openBoth(address));
  }

  get address(): string {
    return formatSocketAddress(this.#at);
  }

  /** A query that has come over UDP. */
  query(): SentQuery | undefined {
    const datagram = receiveDatagram(this.udp, new Uint8Array(65_535));
    return datagram && { message: Buffer.from(datagram.bytes), source: datagram.source };
  }

  reply(message: Uint8Array, { source }: SentQuery): void {
    sendDatagram(this.udp, message, source);
  }

  [Symbol.dispose](): void {
    this.udp.close();
    this.tcp.close();
  }
}

/** A connection of TCP that messages go over, of either end. */
export class TestConnection implements Disposable {
  readonly socket: OwnedFd;
  #received = Buffer.alloc(0);
  hasEnded = false;

  constructor(socket: OwnedFd) {
    this.socket = socket;
  }

  /** @returns how many of the bytes were taken */
  write(bytes: Uint8Array): number {
    return sendSome(this.socket, bytes);
  }

  /** The next whole message. @param most bytes that are read at once */
  message(most = 65_536): Buffer | undefined {
    const bytes = this.#receive(new Uint8Array(most));
    if (bytes?.length === 0) this.hasEnded = true;
    if (bytes !== undefined) this.#received = Buffer.concat([this.#received, bytes]);
    if (this.#received.length < 2) return undefined;
    const end = 2 + this.#received.readUInt16BE(0);
    if (this.#received.length < end) return undefined;
    const message = this.#received.subarray(2, end);
    this.#received = this.#received.subarray(end);
    return message;
  }

  #receive(buffer: Uint8Array): Uint8Array | undefined {
    try {
      return receiveSome(this.socket, buffer);
    } catch (error) {
      // The other end has closed without having read everything.
      if (error instanceof SystemCallError && error.errnoName === "ECONNRESET") return new Uint8Array(0);
      throw error;
    }
  }

  /** Says that nothing more comes. */
  endWriting(): void {
    const writing = 1;
    shutDown(this.socket, writing);
  }

  /** Goes without a word of farewell. socket(7), SO_LINGER */
  breakOff(): void {
    const [solSocket, linger] = [1, 13];
    const atOnce = new Int32Array([1, 0]);
    const { number } = this.socket;
    libc.syscall(syscallNumber("setsockopt"), number, solSocket, linger, ptr(atOnce), atOnce.byteLength, 0);
    this.socket.close();
  }

  [Symbol.dispose](): void {
    this.socket.close();
  }
}

/** A name server of gocker's at a port of the loopback, whose clock stands still unless the test moves it. */
export class TestNameServer implements Disposable {
  readonly server: NameServer;
  readonly errors: unknown[] = [];
  readonly address: SocketAddress;
  readonly #listener: OwnedFd;
  readonly #clients: Disposable[] = [];
  now = 0;

  constructor({
    upstream = [],
    ...options
  }: Partial<Pick<NameServerOptions, "lookup">> & { readonly upstream?: readonly string[] | (() => never) } = {}) {
    const { udp, tcp, at } = openBoth();
    this.address = at;
    this.#listener = tcp;
    // Connections have it from the one that listens: answers that are large are sent in parts.
    const [solSocket, sendBuffer] = [1, 7];
    setSocketOption(tcp, solSocket, sendBuffer, 4096);
    this.server = new NameServer({
      udp,
      tcp,
      lookup: { addresses: () => undefined, nameOf: () => undefined },
      upstream: typeof upstream === "function" ? upstream : () => upstream,
      onError: (error) => this.errors.push(error),
      now: () => this.now,
      ...options,
    });
  }

  /** Serves what there is to serve. */
  serveOnce(milliseconds = 5): void {
    const waiting = [...this.server.waiting()];
    const ready = pollAll(waiting, milliseconds);
    for (const [index, one] of waiting.entries()) {
      const events = ready[index] ?? 0;
      if (events !== 0) one.serve(events);
    }
    this.server.expire();
  }

  /** Serves until there is something. */
  until<Result>(what: string, attempt: () => Result | undefined | false): Result {
    const limit = patience(5_000);
    const deadline = performance.now() + limit;
    for (;;) {
      const result = attempt();
      if (result !== undefined && result !== false) return result;
      if (performance.now() > deadline) throw new Error(`not within ${limit} ms: ${what}`);
      this.serveOnce();
    }
  }

  /** Serves until nothing comes any more. */
  settle(): void {
    for (let isQuiet = false; !isQuiet;) {
      const waiting = [...this.server.waiting()];
      const ready = pollAll(waiting, 2);
      for (const [index, one] of waiting.entries()) {
        const events = ready[index] ?? 0;
        if (events !== 0) one.serve(events);
      }
      isQuiet = ready.every((events) => events === 0);
    }
  }

  /** Spoils the server's socket of TCP. */
  stopListening(): void {
    const reading = 0;
    shutDown(this.#listener, reading);
  }

  /** Lets so many milliseconds go by. */
  elapse(milliseconds: number): void {
    this.now += milliseconds;
    this.server.expire();
  }

  /** A client of UDP. */
  client() {
    const socket = openInternetSocket(4, "datagram");
    startConnecting(socket, this.address);
    this.#clients.push(socket);
    const buffer = new Uint8Array(65_535);
    const send = (message: Uint8Array) => void sendSome(socket, message);
    const answer = (): Buffer | undefined => {
      const bytes = receiveSome(socket, buffer);
      return bytes && Buffer.from(bytes);
    };
    /** Sends a query and waits for the answer. */
    const ask = (message: Uint8Array): Buffer => {
      send(message);
      return this.until("an answer", answer);
    };
    return { socket, send, answer, ask };
  }

  /** A client of TCP. @param room of its socket, in bytes: as much as usual unless told */
  connect(room?: number): TestConnection {
    const socket = openInternetSocket(4, "stream");
    const [solSocket, receiveBuffer] = [1, 8];
    if (room !== undefined) setSocketOption(socket, solSocket, receiveBuffer, room);
    startConnecting(socket, this.address);
    const connection = new TestConnection(socket);
    this.#clients.push(connection);
    return connection;
  }

  /** The next query that a server is sent over UDP. */
  queryAt(upstream: FakeUpstream): SentQuery {
    return this.until("a query at the host's server", () => upstream.query());
  }

  /** The next connection that a server is asked over. */
  connectionAt(upstream: FakeUpstream): TestConnection {
    return new TestConnection(this.until("a connection to the host's server", () => acceptConnection(upstream.tcp)));
  }

  [Symbol.dispose](): void {
    this.server[Symbol.dispose]();
    for (const client of this.#clients) client[Symbol.dispose]();
  }
}

/** Sends a datagram to an address from a socket of its own. */
export function sendFromElsewhere(message: Uint8Array, destination: Uint8Array): void {
  using socket = openInternetSocket(4, "datagram");
  sendDatagram(socket, message, destination);
}

/** An address of the loopback where nobody is. */
export function deadAddress(): string {
  using upstream = new FakeUpstream();
  return upstream.address;
}

import type { OwnedFd } from "../linux/fd.ts";
import { pollEvent } from "../linux/poll.ts";
import { receiveSome, sendSome, shutDownSending, socketError } from "../linux/socket.ts";
import type { Waiting } from "../linux/waiting.ts";
import { SystemCallError } from "../util/errors.ts";

/** As much as is kept of each direction until the other side takes it. */
const bufferSize = 32 * 1024;

/** One direction of a connection. */
class Direction {
  readonly #from: OwnedFd;
  readonly #to: OwnedFd;
  readonly #buffer = new Uint8Array(bufferSize);
  #rest = new Uint8Array(0);
  #hasEnded = false;
  #isShut = false;

  constructor(from: OwnedFd, to: OwnedFd) {
    this.#from = from;
    this.#to = to;
  }

  get wantsToRead(): boolean {
    return !this.#hasEnded && this.#rest.length === 0;
  }

  get wantsToWrite(): boolean {
    return this.#rest.length > 0;
  }

  get isOver(): boolean {
    return this.#isShut;
  }

  /** Takes what has come, and passes on what the other side takes of it. @throws SystemCallError the connection is broken */
  read(): void {
    const bytes = receiveSome(this.#from, this.#buffer);
    if (bytes === undefined) return;
    if (bytes.length === 0) this.#hasEnded = true;
    this.#rest = bytes as Uint8Array<ArrayBuffer>;
    this.write();
  }

  /** @throws SystemCallError the connection is broken */
  write(): void {
    if (this.#rest.length > 0) this.#rest = this.#rest.subarray(sendSome(this.#to, this.#rest));
    if (!this.#hasEnded || this.#rest.length > 0 || this.#isShut) return;
    // The other direction may go on.
    shutDownSending(this.#to);
    this.#isShut = true;
  }
}

/** A connection of somebody to gocker, and gocker's to the container: what comes by one goes out by the other. */
export class ProxiedConnection implements Disposable {
  readonly #client: OwnedFd;
  readonly #server: OwnedFd;
  readonly #up: Direction;
  readonly #down: Direction;
  #isConnected = false;
  #isClosed = false;

  /** @param server is being connected; both are owned from now on */
  constructor(client: OwnedFd, server: OwnedFd) {
    this.#client = client;
    this.#server = server;
    this.#up = new Direction(client, server);
    this.#down = new Direction(server, client);
  }

  get isOver(): boolean {
    return this.#isClosed;
  }

  *waiting(): Generator<Waiting> {
    if (this.#isClosed) return;
    if (!this.#isConnected) {
      yield { fd: this.#server.number, events: pollEvent.writable, serve: () => this.#guard(() => this.#connected()) };
      return;
    }
    yield this.#side(this.#client, this.#up, this.#down);
    yield this.#side(this.#server, this.#down, this.#up);
  }

  /** One socket: what comes by it, and what is to go out by it. */
  #side(socket: OwnedFd, incoming: Direction, outgoing: Direction): Waiting {
    const { readable, writable } = pollEvent;
    const events = (incoming.wantsToRead ? readable : 0) | (outgoing.wantsToWrite ? writable : 0);
    // A socket that hangs up is told of whether it is asked for or not, and for ever.
    const fd = events === 0 ? -1 : socket.number;
    const serve = (ready: number) => {
      this.#guard(() => {
        if ((ready & writable) !== 0) outgoing.write();
        if ((ready & ~writable) !== 0 && incoming.wantsToRead) incoming.read();
      });
    };
    return { fd, events, serve };
  }

  #connected(): void {
    // Whoever is refused by the container is by gocker.
    if (socketError(this.#server) !== 0) this[Symbol.dispose]();
    this.#isConnected = true;
  }

  #guard(deed: () => void): void {
    if (this.#isClosed) return;
    try {
      deed();
      if (this.#up.isOver && this.#down.isOver) this[Symbol.dispose]();
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#client.close();
    this.#server.close();
  }
}

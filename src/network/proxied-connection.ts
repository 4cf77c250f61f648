import type { OwnedFd } from "../linux/fd.ts";
import { pollEvent } from "../linux/poll.ts";
import { discardReceived, peekSome, resetOnClose, sendSome, shutDownSending, socketError } from "../linux/socket.ts";
import type { Watch, WatchSet } from "../linux/watch-set.ts";
import { SystemCallError } from "../util/errors.ts";

/**
 * One direction of a connection. Nothing is kept here: what the other side does not take stays where it has come, in the
 * kernel, which then lets the sender wait. So a connection costs the same whatever goes over it.
 */
class Direction {
  readonly #from: OwnedFd;
  readonly #to: OwnedFd;
  #isBlocked = false;
  #isOver = false;

  constructor(from: OwnedFd, to: OwnedFd) {
    this.#from = from;
    this.#to = to;
  }

  get wantsToRead(): boolean {
    return !this.#isOver && !this.#isBlocked;
  }

  get wantsToWrite(): boolean {
    return this.#isBlocked;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Passes on what has come, as far as the other side takes it. @throws SystemCallError the connection is broken */
  passOn(buffer: Uint8Array): void {
    const bytes = peekSome(this.#from, buffer);
    this.#isBlocked = false;
    if (bytes === undefined) return;
    if (bytes.length === 0) {
      // The other direction may go on.
      shutDownSending(this.#to);
      this.#isOver = true;
      return;
    }
    const count = sendSome(this.#to, bytes);
    discardReceived(this.#from, count);
    this.#isBlocked = count < bytes.length;
  }
}

/** What a {@link ProxiedConnection} works with. */
export interface ProxySurroundings {
  readonly watches: WatchSet;
  /** For what is under way at this moment, of any connection. */
  readonly buffer: Uint8Array;
  /** Something has happened to a connection, which may be over by now. */
  onUse(connection: ProxiedConnection): void;
}

/** A connection of somebody to gocker, and gocker's to the container: what comes by one goes out by the other. */
export class ProxiedConnection implements Disposable {
  readonly #client: OwnedFd;
  readonly #server: OwnedFd;
  readonly #up: Direction;
  readonly #down: Direction;
  readonly #surroundings: ProxySurroundings;
  #clientWatch: Watch | undefined;
  #serverWatch: Watch;
  #isOver = false;

  /**
   * @param server is being connected; both are owned from now on
   * @throws SystemCallError they are the caller's still
   */
  constructor(client: OwnedFd, server: OwnedFd, surroundings: ProxySurroundings) {
    this.#client = client;
    this.#server = server;
    this.#surroundings = surroundings;
    this.#up = new Direction(client, server);
    this.#down = new Direction(server, client);
    this.#serverWatch = surroundings.watches.add(server, pollEvent.writable, () =>
      this.#guard(() => this.#connected()),
    );
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  #connected(): void {
    // Whoever is refused by the container is by gocker.
    if (socketError(this.#server) !== 0) return this[Symbol.dispose]();
    this.#serverWatch.end();
    this.#serverWatch = this.#watch(this.#server, this.#down, this.#up);
    this.#clientWatch = this.#watch(this.#client, this.#up, this.#down);
  }

  /** One socket: what comes by it, and what is to go out by it. */
  #watch(socket: OwnedFd, incoming: Direction, outgoing: Direction): Watch {
    const { buffer, watches } = this.#surroundings;
    const { readable, writable } = pollEvent;
    return watches.add(socket, readable, (ready) => {
      this.#guard(() => {
        if ((ready & ~readable) !== 0 && outgoing.wantsToWrite) outgoing.passOn(buffer);
        if ((ready & ~writable) !== 0 && incoming.wantsToRead) incoming.passOn(buffer);
      });
    });
  }

  #guard(serve: () => void): void {
    try {
      serve();
      if (this.#up.isOver && this.#down.isOver) this[Symbol.dispose]();
      if (!this.#isOver) this.#changeWatches();
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this[Symbol.dispose]();
    }
    this.#surroundings.onUse(this);
  }

  #changeWatches(): void {
    this.#clientWatch?.change(eventsOf(this.#up, this.#down));
    this.#serverWatch.change(eventsOf(this.#down, this.#up));
  }

  /** Ends it though neither side has: both are told that it was broken off. */
  giveUp(): void {
    for (const socket of [this.#client, this.#server]) resetOnClose(socket);
    this[Symbol.dispose]();
    this.#surroundings.onUse(this);
  }

  [Symbol.dispose](): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#clientWatch?.end();
    this.#serverWatch.end();
    this.#client.close();
    this.#server.close();
  }
}

/** What a socket is waited for. One that hangs up is told of whether it is asked for or not, unless that is nothing. */
function eventsOf(incoming: Direction, outgoing: Direction): number {
  return (incoming.wantsToRead ? pollEvent.readable : 0) | (outgoing.wantsToWrite ? pollEvent.writable : 0);
}

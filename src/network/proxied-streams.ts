import { errnos } from "../linux/errno.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { openInternetSocket, startConnecting } from "../linux/internet-socket.ts";
import { pollAll, pollEvent } from "../linux/poll.ts";
import { acceptConnection } from "../linux/socket.ts";
import type { WatchSet } from "../linux/watch-set.ts";
import { SystemCallError } from "../util/errors.ts";
import { FairShares } from "./fair-shares.ts";
import { ProxiedConnection, type ProxySurroundings } from "./proxied-connection.ts";
import type { ProxiedPort } from "./proxied-port.ts";

/** No descriptor, or no memory, is left for another socket. accept(2), socket(2), epoll_ctl(2) */
const lacks: ReadonlySet<number> = new Set([
  errnos.EMFILE,
  errnos.ENFILE,
  errnos.ENOBUFS,
  errnos.ENOMEM,
  errnos.ENOSPC,
]);

/** How many connections are accepted before others have their turn. */
const mostAtOnce = 64;

/**
 * The connections of TCP that are passed on. Who connects is always served: where there are as many as may be, one gives
 * way that has been silent for longest, of a port that has most.
 */
export class ProxiedStreams implements Disposable {
  readonly #connections = new FairShares<ProxiedPort, ProxiedConnection>();
  readonly #most: number;
  readonly #watches: WatchSet;
  readonly #buffer: Uint8Array;

  /**
   * @param most how many there may be
   * @param buffer for what is under way
   */
  constructor(most: number, watches: WatchSet, buffer: Uint8Array) {
    this.#most = most;
    this.#watches = watches;
    this.#buffer = buffer;
  }

  get isEmpty(): boolean {
    return this.#connections.size === 0;
  }

  /** Takes who has connected to a port. @returns false when there is nothing left to take somebody with */
  accept(port: ProxiedPort): boolean {
    for (let count = 0; count < mostAtOnce; count++) {
      try {
        // Without a descriptor for him accept(2) fails whether somebody is there or not.
        if (!isReadable(port.socket) || !this.#acceptOne(port)) return true;
      } catch (error) {
        if (!(error instanceof SystemCallError)) throw error;
        // Others are in the queue, and it would be the same with them.
        if (lacks.has(error.errno)) return false;
        // Whoever came is gone with his socket.
      }
    }
    return true;
  }

  /** @returns false when nobody is there */
  #acceptOne(port: ProxiedPort): boolean {
    using cleanup = new DisposableStack();
    const client = this.#sparing(() => acceptConnection(port.socket));
    if (client === undefined) return false;
    cleanup.use(client);
    const { target } = port;
    if (target === undefined) return true;
    if (this.#connections.size >= this.#most) this.#giveUpOne();
    const server = cleanup.use(this.#sparing(() => openInternetSocket(target.address.family, "stream")));
    startConnecting(server, target);
    const surroundings: ProxySurroundings = {
      watches: this.#watches,
      buffer: this.#buffer,
      onUse: (one) => {
        if (one.isOver) this.#connections.remove(port, one);
        else this.#connections.use(port, one);
      },
    };
    this.#connections.use(
      port,
      this.#sparing(() => new ProxiedConnection(client, server, surroundings)),
    );
    cleanup.move();
    return true;
  }

  /** Does it with what a connection has that is given up for it, where nothing else is left. */
  #sparing<Result>(make: () => Result): Result {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof SystemCallError) || !lacks.has(error.errno) || !this.#giveUpOne()) throw error;
      return make();
    }
  }

  /** @returns whether there was one */
  #giveUpOne(): boolean {
    const one = this.#connections.dispensable;
    one?.giveUp();
    return one !== undefined;
  }

  [Symbol.dispose](): void {
    for (const connection of this.#connections) connection[Symbol.dispose]();
  }
}

function isReadable({ number }: OwnedFd): boolean {
  const [ready] = pollAll([{ fd: number, events: pollEvent.readable }], 0);
  return ready !== 0;
}

import type { OwnedFd } from "../../linux/fd.ts";
import { pollEvent } from "../../linux/poll.ts";
import { acceptConnection } from "../../linux/socket.ts";
import { Client, type ClientEvents, mostWaiting } from "./client.ts";
import { encodeDocument, type Ending, messageType } from "./protocol.ts";
import type { Waiting } from "../../linux/waiting.ts";

/** Those who are connected to a monitor, and the socket by which they come. */
export class Connections implements Disposable {
  readonly #listener: OwnedFd;
  readonly #events: ClientEvents;
  readonly #clients = new Set<Client>();
  readonly #buffer = new Uint8Array(64 * 1024);
  #ending: Uint8Array | undefined;

  constructor(listener: OwnedFd, events: ClientEvents) {
    this.#listener = listener;
    this.#events = events;
  }

  get isEmpty(): boolean {
    return this.#clients.size === 0;
  }

  /** Whether somebody has to read before there is more to be sent. @param most bytes that may wait for each */
  isFull(most = mostWaiting): boolean {
    return [...this.#clients].some((client) => client.isFull(most));
  }

  /**
   * What is waited for, and what is done then.
   * @param takesInput whether the container's input has room
   */
  *waiting(takesInput: boolean): Generator<Waiting> {
    yield { fd: this.#listener.number, events: pollEvent.readable, serve: () => this.#accept() };
    for (const client of this.#clients) {
      yield { ...client.wanted(takesInput), serve: (ready) => this.#serve(client, ready) };
    }
  }

  #accept(): void {
    const socket = acceptConnection(this.#listener);
    if (socket === undefined) return;
    const client = new Client(socket, this.#events);
    this.#clients.add(client);
    if (this.#ending !== undefined) this.#tell(client, this.#ending);
  }

  #serve(client: Client, ready: number): void {
    client.serve(ready, this.#buffer);
    if (client.isOver) this.#drop(client);
  }

  #drop(client: Client): void {
    this.#clients.delete(client);
    if (client.greeting?.input === true) this.#events.onInputEnd();
    client[Symbol.dispose]();
  }

  output(type: typeof messageType.stdout | typeof messageType.stderr, bytes: Uint8Array): void {
    for (const client of this.#clients) client.output(type, bytes);
  }

  /** Tells everybody how the container has ended; they are gone when they have read it. */
  finish(ending: Ending): void {
    this.#ending = encodeDocument(messageType.ending, ending);
    for (const client of this.#clients) this.#tell(client, this.#ending);
  }

  /** Tells those who look at it how the container has ended, though it is started again: as with docker, that ends it for them. */
  endViews(ending: Ending): void {
    const message = encodeDocument(messageType.ending, ending);
    for (const client of this.#clients) if (client.greeting?.output === true) this.#tell(client, message);
  }

  /** The container's networks have been looked at: those who had that done may go. */
  endRefreshes(): void {
    for (const client of this.#clients) {
      if (client.greeting?.networks !== true) continue;
      client.finish();
      if (client.isOver) this.#drop(client);
    }
  }

  #tell(client: Client, ending: Uint8Array): void {
    client.send(ending);
    client.finish();
    if (client.isOver) this.#drop(client);
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client[Symbol.dispose]();
    this.#clients.clear();
  }
}

import { closeSync, constants, fchownSync, fstatSync, openSync, readlinkSync } from "node:fs";
import { receiveDescriptor } from "../linux/descriptor-passing.ts";
import { createSocketPair, type FdPair, type OwnedFd, waitReadable } from "../linux/fd.ts";
import { TerminalMode } from "../linux/terminal.ts";
import type { OutputRelay } from "./output-relay.ts";
import type { TerminalRelay } from "./terminal-relay.ts";

/** What the container's descriptors 0, 1 and 2 are connected to. */
export interface ContainerStdio extends Disposable {
  /** For the launch: see `LaunchRequest.stdio`. */
  readonly descriptors: readonly [number, number, number];
  /** Where the launch sends the terminal's master side, when the container has a terminal. */
  readonly terminalSocket?: number;
  /** The process is there: takes what it sent. */
  attach(): Promise<void>;
  /** Resolves when everything that the container wrote has been passed on. Only after the container's end. */
  drain(): Promise<void>;
}

/** What {@link DirectStdio.open} goes by. */
export interface DirectStdioOptions {
  /** The container gets gocker's standard input; else it finds nothing there. */
  readonly interactive: boolean;
  /** The container's user, as the host numbers it. */
  readonly owner: number;
}

/**
 * gocker's own descriptors, handed straight to the container: nothing is copied, and what is read from or written to
 * them is between the container and whoever is at the other end. Only outputs that are sockets get a pipe between.
 */
export class DirectStdio implements ContainerStdio {
  readonly descriptors: readonly [number, number, number];
  readonly #null: number | undefined;
  /** A container that writes to a terminal could leave it in a mode of its own. */
  readonly #mode: TerminalMode | undefined;
  readonly #relays: readonly OutputRelay[];

  private constructor(options: DirectStdioOptions, relays: ReadonlyMap<number, OutputRelay>) {
    this.#mode = [0, 1, 2].map((fd) => TerminalMode.save(fd)).find((mode) => mode !== undefined);
    this.#null = options.interactive ? undefined : openSync("/dev/null", constants.O_RDONLY);
    this.#relays = [...relays.values()];
    this.descriptors = [this.#null ?? 0, relays.get(1)?.descriptor ?? 1, relays.get(2)?.descriptor ?? 2];
    if (options.owner !== 0) for (const fd of this.descriptors) giveAnonymousPipe(fd, options.owner);
  }

  static async open(options: DirectStdioOptions): Promise<DirectStdio> {
    const isSocket = (fd: number) => fstatSync(fd).isSocket();
    // A container that splices from a socket into a pipe, as cat does, holds the pipe's lock while it waits for input
    // (Linux 6.18): who reads the pipe waits with it and cannot even be killed.
    const sockets = options.interactive && isSocket(0) ? [] : [1, 2].filter(isSocket);
    const relays = new Map<number, OutputRelay>();
    if (sockets.length > 0) {
      const { OutputRelay } = await import("./output-relay.ts");
      for (const fd of sockets) relays.set(fd, new OutputRelay(fd));
    }
    return new DirectStdio(options, relays);
  }

  async attach(): Promise<void> {
    for (const relay of this.#relays) relay.start();
  }

  async drain(): Promise<void> {
    await Promise.all(this.#relays.map((relay) => relay.finished()));
  }

  [Symbol.dispose](): void {
    for (const relay of this.#relays) relay[Symbol.dispose]();
    if (this.#null !== undefined) closeSync(this.#null);
    this.#mode?.restore();
  }
}

/**
 * Programs open /dev/stdout anew, which asks for permission on the pipe itself. Only pipes without a name are given
 * away: a file or a terminal belongs to the user of gocker.
 */
function giveAnonymousPipe(fd: number, owner: number): void {
  if (!fstatSync(fd).isFIFO() || !readlinkSync(`/proc/self/fd/${fd}`).startsWith("pipe:")) return;
  const keepGroup = -1;
  fchownSync(fd, owner, keepGroup);
}

/** A terminal of the container's own, shown on gocker's. */
export class TerminalStdio implements ContainerStdio {
  readonly descriptors: readonly [number, number, number];
  readonly #interactive: boolean;
  readonly #null: number;
  readonly #sockets: FdPair;
  #master: OwnedFd | undefined;
  #relay: TerminalRelay | undefined;

  constructor(options: { readonly interactive: boolean }) {
    this.#interactive = options.interactive;
    this.#null = openSync("/dev/null", constants.O_RDWR);
    this.descriptors = [this.#null, this.#null, this.#null];
    this.#sockets = createSocketPair();
  }

  get terminalSocket(): number {
    return this.#sockets.writer.number;
  }

  async attach(): Promise<void> {
    // The container's end alone stays open, so that its death without a terminal is noticed.
    this.#sockets.writer.close();
    await waitReadable(this.#sockets.reader.number);
    this.#master = receiveDescriptor(this.#sockets.reader.number);
    if (this.#master === undefined) return;
    const { TerminalRelay } = await import("./terminal-relay.ts");
    this.#relay = new TerminalRelay(this.#master, this.#interactive);
  }

  async drain(): Promise<void> {
    await this.#relay?.finished;
  }

  [Symbol.dispose](): void {
    this.#relay?.[Symbol.dispose]();
    this.#master?.close();
    this.#sockets[Symbol.dispose]();
    closeSync(this.#null);
  }
}

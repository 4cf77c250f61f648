import { type BigIntStats, closeSync, constants, fchownSync, fstatSync, openSync, readlinkSync } from "node:fs";
import { receiveDescriptor } from "../linux/descriptor-passing.ts";
import { makeDevice } from "../linux/device-number.ts";
import { createSocketPair, type FdPair, type OwnedFd, waitReadable } from "../linux/fd.ts";
import { isTerminal } from "../linux/terminal.ts";
import type { InputRelay } from "./input-relay.ts";
import type { OutputRelay } from "./output-relay.ts";
import type { TerminalRelay, TerminalRelayOptions } from "./terminal-relay.ts";

/** What the container's descriptors 0, 1 and 2 are connected to. */
export interface ContainerStdio extends Disposable {
  /** For the launch: see `LaunchRequest.stdio`. */
  readonly descriptors: readonly [number, number, number];
  /** Where the launch sends the terminal's master side, when the container has a terminal. */
  readonly terminalSocket?: number;
  /** The process is there: takes what it sent. */
  attach(): Promise<void>;
  /**
   * Resolves when everything that was written has been passed on. Only after the process's end.
   * @param patience how long to wait in all for others who have the outputs open, in milliseconds: for ever unless told.
   *   Those who read slowly have all the time
   */
  drain(patience?: number): Promise<void>;
  /** Resolves when gocker's own terminal was found to be gone, by reading or writing. After {@link attach}. */
  hungUp?(): Promise<void>;
}

/** What {@link DirectStdio.open} goes by. */
export interface DirectStdioOptions {
  /** The container gets gocker's standard input; else it finds nothing there. */
  readonly interactive: boolean;
  /** The container's user, as the host numbers it; absent where the launch gives the pipes to it. */
  readonly owner?: number;
}

/**
 * What the container's standard descriptors are without a terminal of its own. Pipes of gocker's are handed straight to
 * the container: nothing is copied, and what is read from or written to them is between the container and whoever is at
 * the other end. Everything else (files, terminals, sockets, devices) stays with gocker, and a pipe stands for it:
 * root in a container could open a file anew with other rights than the caller's, or change its mode and owner.
 */
export class DirectStdio implements ContainerStdio {
  readonly descriptors: readonly [number, number, number];
  readonly #null: number | undefined;
  readonly #input: InputRelay | undefined;
  readonly #outputs: readonly OutputRelay[];

  private constructor(options: DirectStdioOptions, relays: Relays) {
    this.#null = options.interactive ? undefined : openSync("/dev/null", constants.O_RDONLY);
    this.#input = relays.input;
    this.#outputs = [...new Set(relays.outputs.values())];
    const output = (fd: number) => relays.outputs.get(fd)?.descriptor ?? fd;
    this.descriptors = [this.#null ?? relays.input?.descriptor ?? 0, output(1), output(2)];
    const { owner = 0 } = options;
    if (owner !== 0) for (const fd of this.descriptors) givePipe(fd, owner);
  }

  static async open(options: DirectStdioOptions): Promise<DirectStdio> {
    const input = options.interactive ? await relayInput() : undefined;
    return new DirectStdio(options, { input, outputs: await relayOutputs() });
  }

  async attach(): Promise<void> {
    for (const relay of this.#outputs) relay.start();
    this.#input?.start();
  }

  async drain(patience?: number): Promise<void> {
    const finished = Promise.all(this.#outputs.map((relay) => relay.finished()));
    await orIdle(finished, patience, () => this.#outputs.some(({ isWriting }) => isWriting));
    this.#input?.finish();
  }

  [Symbol.dispose](): void {
    for (const relay of this.#outputs) relay[Symbol.dispose]();
    this.#input?.[Symbol.dispose]();
    if (this.#null !== undefined) closeSync(this.#null);
  }
}

interface Relays {
  readonly input: InputRelay | undefined;
  /** By descriptor. */
  readonly outputs: ReadonlyMap<number, OutputRelay>;
}

/** What may be handed to a container: the null device is replaced by the container's own, and a directory refused. */
function goesStraight(fd: number, stat: BigIntStats): boolean {
  const isNull = stat.isCharacterDevice() && stat.rdev === makeDevice(1, 3);
  return isNull || stat.isDirectory() || (stat.isFIFO() && isAnonymousPipe(fd));
}

async function relayInput(): Promise<InputRelay | undefined> {
  const stat = fstatSync(0, { bigint: true });
  if (goesStraight(0, stat)) return undefined;
  const { InputRelay } = await import("./input-relay.ts");
  return new InputRelay(stat.isFile() ? "file" : isTerminal(0) ? "terminal" : "stream");
}

/** One pipe where both outputs are the same, so that what is written to them keeps its order. */
async function relayOutputs(): Promise<ReadonlyMap<number, OutputRelay>> {
  const relays = new Map<number, OutputRelay>();
  const stats = [1, 2].map((fd) => ({ fd, stat: fstatSync(fd, { bigint: true }) }));
  const relayed = stats.filter(({ fd, stat }) => !goesStraight(fd, stat));
  if (relayed.length === 0) return relays;
  const { OutputRelay } = await import("./output-relay.ts");
  const byFile = new Map<string, OutputRelay>();
  for (const { fd, stat } of relayed) {
    const file = `${stat.dev}:${stat.ino}`;
    const relay = byFile.get(file) ?? new OutputRelay({ descriptor: fd, mayWait: !stat.isFile() });
    byFile.set(file, relay);
    relays.set(fd, relay);
  }
  return relays;
}

/** Programs open /dev/stdout anew, which asks for permission on the pipe itself. */
function givePipe(fd: number, owner: number): void {
  if (!fstatSync(fd).isFIFO()) return;
  const keepGroup = -1;
  fchownSync(fd, owner, keepGroup);
}

/** A pipe with a name is a file of the host's. pipe(7), fifo(7) */
function isAnonymousPipe(fd: number): boolean {
  return readlinkSync(`/proc/self/fd/${fd}`).startsWith("pipe:");
}

/** How often is looked whether something goes on, in milliseconds. */
const tick = 20;

/** Waits until something is done, or has stood still for so long in all. */
async function orIdle(done: Promise<unknown>, patience: number | undefined, isBusy: () => boolean): Promise<void> {
  const over = new AbortController();
  const isDone = done.finally(() => over.abort());
  await (patience === undefined ? isDone : Promise.race([isDone, idleFor(patience, isBusy, over.signal)]));
}

async function idleFor(milliseconds: number, isBusy: () => boolean, over: AbortSignal): Promise<void> {
  for (let left = milliseconds; left > 0 && !over.aborted; left -= isBusy() ? 0 : tick) await Bun.sleep(tick);
}

/** A terminal of the container's own, shown on gocker's. */
export class TerminalStdio implements ContainerStdio {
  readonly descriptors: readonly [number, number, number];
  readonly #options: TerminalRelayOptions;
  readonly #null: number;
  readonly #sockets: FdPair;
  #master: OwnedFd | undefined;
  #relay: TerminalRelay | undefined;

  constructor(options: TerminalRelayOptions) {
    this.#options = options;
    this.#null = openSync("/dev/null", constants.O_RDWR);
    this.descriptors = [this.#null, this.#null, this.#null];
    this.#sockets = createSocketPair();
  }

  get terminalSocket(): number {
    return this.#sockets.writer.number;
  }

  async attach(): Promise<void> {
    if ((await this.take()) === undefined) return;
    const { TerminalRelay } = await import("./terminal-relay.ts");
    this.#relay = new TerminalRelay(this.#master as OwnedFd, this.#options);
  }

  /**
   * What {@link attach} begins with, for a terminal that is not shown.
   * @returns its master side, which stays this one's; undefined when the process has ended without a terminal
   */
  async take(): Promise<OwnedFd | undefined> {
    // The container's end alone stays open, so that its death without a terminal is noticed.
    this.#sockets.writer.close();
    await waitReadable(this.#sockets.reader.number);
    this.#master = receiveDescriptor(this.#sockets.reader.number, "the terminal");
    return this.#master;
  }

  /**
   * Resolves with the terminal's master side when the detach keys were typed: the container keeps its terminal as long as
   * somebody holds that, which stays this one's. After {@link attach}; never when there is no terminal.
   */
  async detached(): Promise<OwnedFd> {
    const { promise: never } = Promise.withResolvers<never>();
    if (this.#relay === undefined || this.#master === undefined) return never;
    await this.#relay.detached;
    return this.#master;
  }

  async hungUp(): Promise<void> {
    const { promise: never } = Promise.withResolvers<never>();
    await (this.#relay?.hungUp ?? never);
  }

  async drain(patience?: number): Promise<void> {
    const relay = this.#relay;
    relay?.programEnded();
    if (relay !== undefined) await orIdle(relay.finished, patience, () => relay.isWriting);
  }

  [Symbol.dispose](): void {
    this.#relay?.[Symbol.dispose]();
    this.#master?.close();
    this.#sockets[Symbol.dispose]();
    closeSync(this.#null);
  }
}

import { OwnedFd } from "../../linux/fd.ts";
import { fallAsleep } from "../../linux/launch/sleep.ts";
import { pollAll, pollEvent } from "../../linux/poll.ts";
import { setWindowSize, type WindowSize } from "../../linux/terminal.ts";
import { errorMessage } from "../../util/errors.ts";
import type { LogStream, LogWriter } from "../logs/log-writer.ts";
import { Connections } from "./connections.ts";
import type { HealthCheck } from "./health.ts";
import { InputQueue } from "./input.ts";
import { Outputs } from "./outputs.ts";
import { type Ending, messageType } from "./protocol.ts";
import type { Service } from "./service.ts";
import { descriptorsOf, type MonitorDescriptors, type MonitorState, monitorWords } from "./state.ts";
import type { Waiting } from "../../linux/waiting.ts";
import { wakesOf } from "./wakes.ts";

/** A container has ended, and is to be started again. */
export interface Restart {
  /** Milliseconds since the epoch. */
  readonly startAt: number;
  /** Milliseconds until then. */
  readonly pause: number;
  readonly ending: Ending;
}

/** What a monitor does with what happens. */
export interface MonitorDuties {
  /** Where the container's outputs are kept. @param onError told of what fails beside the writing */
  openLog(onError: (error: unknown) => void): Promise<LogWriter>;
  /**
   * The container's process has ended: its status is taken, and nothing of it is left.
   * @returns when it is to be started again, and how it has ended; undefined when it is not
   */
  processEnded(state: MonitorState): Promise<Restart | undefined>;
  /** Starts the container again. @returns its descriptors; undefined when it could not be started, and that is on record */
  startAgain(state: MonitorState): Promise<Partial<MonitorDescriptors> | undefined>;
  /** The health check of a container that runs, if it has one. @param nextAt when the next probe is due, if that is known */
  openHealthCheck(nextAt: number | undefined): HealthCheck | undefined;
  /** What is done for a container that runs with the sockets that it has for that. */
  openServices(sockets: Pick<MonitorDescriptors, "names" | "ports" | "oom">): Promise<Service[]>;
  /** Opens sockets that the container has not, and that its networks ask for by now. @returns their numbers */
  openSockets(descriptors: MonitorDescriptors): Promise<Pick<MonitorDescriptors, "names">>;
  /** The container is at its end, which is put on record; the lock is given up. */
  finish(): Promise<Ending>;
}

/** Milliseconds without anything to do, after which a monitor sleeps. */
const idleTime = 3_000;

/** Milliseconds that a sleep must be long to be worth it: to wake takes some tens of them. */
const shortestSleep = 1_000;

/** Milliseconds that outputs may stay open when all of the container's processes have ended: others may have them. */
const drainTime = 2_000;

/**
 * Milliseconds between two collections of garbage while there is no pause. Left to itself the heap grows to several times of
 * what a monitor needs, as the memory of what is compressed does not count there. A collection takes some of them.
 */
const collectionInterval = 100;

/** How often something must have happened since: for a line now and then it is not worth it. */
const roundsPerCollection = 50;

/** More than both pipes hold beside what may wait for a client before: all that a container has left at its end. */
const mostAtEnd = 4 * 1024 * 1024;

/**
 * Looks after one container: keeps what it writes and shows it to those who are connected, gives it their input, and does
 * what is to be done at its end. Nothing here waits but for all of that together; and when nothing has happened for a
 * while, the process sleeps (see `fallAsleep`) until something does.
 */
export class Monitor {
  readonly #duties: MonitorDuties;
  readonly #connections: Connections;
  #state: MonitorState;
  #outputs: Outputs;
  #input: InputQueue | undefined;
  #stdin: OwnedFd | undefined;
  #log: LogWriter | undefined;
  #logFailure: string | undefined;
  #isStopped = false;
  /** Somebody has changed the container's networks, and waits until that is looked at. */
  #hasNewNetworks = false;
  /** Of the terminal of who came last: it may come before the container's own does. */
  #size: WindowSize | undefined;

  constructor(state: MonitorState, duties: MonitorDuties) {
    this.#duties = duties;
    this.#state = state;
    this.#outputs = this.#openOutputs();
    this.#openInput();
    this.#connections = new Connections(new OwnedFd(state.descriptors.listener), {
      onGreeting: (_, { stop, networks }) => {
        if (stop === true) this.#isStopped = true;
        if (networks === true) this.#hasNewNetworks = true;
      },
      onInput: (bytes) => this.#input?.add(bytes),
      onInputEnd: () => {
        if (this.#state.inputOnce && this.#outputs.terminal === undefined) this.#input?.end();
      },
      onSize: (size) => {
        this.#size = size;
        if (this.#outputs.terminal !== undefined) setWindowSize(this.#outputs.terminal, size);
      },
    });
  }

  /** What went wrong with the log, if something did: the container goes on without. */
  get logFailure(): string | undefined {
    return this.#logFailure;
  }

  /** Returns when the container is at its end, and everybody has been told. Or sleeps: the process is another one then. */
  async run(): Promise<void> {
    while (await this.#runOnce());
    this.#connections.finish(await this.#duties.finish());
    while (!this.#connections.isEmpty) this.#serve(this.#connections.waiting(false), -1);
    this.#connections[Symbol.dispose]();
  }

  /** From a start of the container to its end. @returns whether it is started again */
  async #runOnce(): Promise<boolean> {
    if (this.#state.startAt === undefined) {
      await this.#openLog();
      await this.#serveUntilEnd();
      const again = await this.#duties.processEnded(this.#state);
      this.#drain();
      this.#closeRun();
      if (again === undefined || this.#isStopped) return false;
      const { startAt, pause, ending } = again;
      this.#connections.endViews(ending);
      this.#state = { ...this.#state, startAt, pause, restarts: this.#state.restarts + 1 };
    }
    if (!this.#waitForStart()) return false;
    const { startAt: _startAt, ...state } = this.#state;
    const descriptors = await this.#duties.startAgain(state);
    if (descriptors === undefined) return false;
    this.#state = { ...state, descriptors: { ...state.descriptors, ...descriptors } };
    this.#outputs = this.#openOutputs();
    this.#openInput();
    return true;
  }

  async #serveUntilEnd(): Promise<void> {
    using health = this.#duties.openHealthCheck(this.#state.probeAt);
    const services = await this.#duties.openServices(this.#state.descriptors);
    using cleanup = new DisposableStack();
    for (const service of services) cleanup.use(service);
    const last = { collection: performance.now(), rounds: 0 };
    const run = { process: this.#state.descriptors.process as number, hasEnded: false };
    const end: Waiting = { fd: run.process, events: pollEvent.readable, serve: () => void (run.hasEnded = true) };
    while (!run.hasEnded) {
      if (this.#hasNewNetworks) {
        for (const service of await this.#refresh(services)) services.push(cleanup.use(service));
      }
      const lefts = [health?.timeLeft(Date.now()), ...services.map(({ timeout }) => timeout)];
      const others = services.flatMap((service) => [...service.waiting()]);
      const waiting = [...this.#waiting(), ...(health?.waiting() ?? []), ...others, end];
      const isBusy = this.#serve(waiting, Math.min(idleTime, ...lefts.filter((left) => left !== undefined)));
      for (const service of services) service.expire();
      if (isBusy && ++last.rounds >= roundsPerCollection && performance.now() - last.collection > collectionInterval) {
        Bun.gc(true);
        Object.assign(last, { collection: performance.now(), rounds: 0 });
      }
      await health?.act(Date.now());
      if (isBusy || !this.#isIdle || health?.isBusy === true || !services.every(({ isIdle }) => isIdle)) continue;
      const next = health?.timeLeft(Date.now());
      if (next === undefined) this.#sleep();
      else if (next > shortestSleep) this.#sleep({ timeout: next, probeAt: health?.nextAt });
    }
    const { probeAt: _, ...state } = this.#state;
    this.#state = state;
  }

  /** Does by the container's networks as they are now. @returns what is to be done for it besides */
  async #refresh(services: readonly Service[]): Promise<Service[]> {
    this.#hasNewNetworks = false;
    for (const service of services) service.refresh?.();
    const opened = await this.#duties.openSockets(this.#state.descriptors);
    this.#state = { ...this.#state, descriptors: { ...this.#state.descriptors, ...opened } };
    const further = await this.#duties.openServices(opened);
    this.#connections.endRefreshes();
    return further;
  }

  /** What the container has written before its end. */
  #drain(): void {
    this.#outputs.containerEnded();
    const deadline = performance.now() + drainTime;
    while (!this.#outputs.hasEnded) {
      // Who reads slowly has all the time, but later: the end must not wait for somebody who may never read again.
      const left = deadline - performance.now();
      if (left <= 0) return;
      this.#serve(this.#waiting(mostAtEnd), left);
    }
  }

  /** @returns false when somebody has asked to leave it */
  #waitForStart(): boolean {
    for (let left = this.#timeToStart(); left > 0; left = this.#timeToStart()) {
      if (this.#isStopped) return false;
      const isBusy = this.#serve(this.#connections.waiting(false), Math.min(left, idleTime));
      // It has none until it is started.
      this.#hasNewNetworks = false;
      this.#connections.endRefreshes();
      if (!isBusy && this.#timeToStart() > shortestSleep && this.#isIdle) this.#sleep({ timeout: this.#timeToStart() });
    }
    return !this.#isStopped;
  }

  #timeToStart(): number {
    return (this.#state.startAt ?? 0) - Date.now();
  }

  /** @param most bytes that may wait for each who is connected, before the container has to */
  *#waiting(most?: number): Generator<Waiting> {
    yield* this.#connections.waiting(this.#input?.takesMore ?? true);
    // A container has to wait for the slowest of those who look at it, as for the reader of a pipe.
    if (!this.#connections.isFull(most)) yield* this.#outputs.waiting();
    const wanted = this.#input?.wanted;
    if (wanted !== undefined) yield { ...wanted, serve: () => this.#input?.flush() };
  }

  /**
   * Waits once. Those who connect come first: what they want they have sent by then, and they miss nothing.
   * @returns whether anything happened
   */
  #serve(waiting: Iterable<Waiting>, milliseconds: number): boolean {
    const all = [...waiting];
    const ready = pollAll(all, Math.ceil(milliseconds));
    const [listener] = ready;
    if (listener !== undefined && listener !== 0) {
      all[0]?.serve(listener);
      return true;
    }
    for (const [index, one] of all.entries()) {
      const events = ready[index] ?? 0;
      if (events !== 0) one.serve(events);
    }
    return ready.some((events) => events !== 0);
  }

  #openOutputs(): Outputs {
    return new Outputs(this.#state.descriptors, {
      onOutput: (stream, bytes) => this.#take(stream, bytes),
      onTerminal: (terminal) => this.#openTerminal(terminal),
    });
  }

  #openTerminal(terminal: number): void {
    if (this.#size !== undefined) setWindowSize(terminal, this.#size);
    // Its other direction is closed with the first one.
    this.#input = new InputQueue(terminal, () => (this.#input = undefined));
  }

  #openInput(): void {
    const { stdin, terminal } = this.#state.descriptors;
    if (terminal !== undefined) this.#openTerminal(terminal);
    if (stdin === undefined) return;
    const file = new OwnedFd(stdin);
    this.#stdin = file;
    this.#input = new InputQueue(stdin, () => this.#closeInput());
  }

  #closeInput(): void {
    this.#stdin?.close();
    this.#stdin = undefined;
    this.#input = undefined;
  }

  #take(stream: LogStream, bytes: Uint8Array): void {
    this.#connections.output(stream === "stdout" ? messageType.stdout : messageType.stderr, bytes);
    this.#keep((log) => log.write(stream, bytes, Date.now()));
  }

  /** A log that cannot be written (the disk is full) is no reason to hold the container up. */
  #keep(use: (log: LogWriter) => void): void {
    if (this.#log === undefined) return;
    try {
      use(this.#log);
    } catch (error) {
      this.#noteLogFailure(error);
    }
  }

  async #openLog(): Promise<void> {
    try {
      this.#log = await this.#duties.openLog((error) => this.#noteLogFailure(error));
    } catch (error) {
      this.#noteLogFailure(error);
    }
  }

  #noteLogFailure(error: unknown): void {
    this.#logFailure ??= `output was lost: ${errorMessage(error)}`;
  }

  get #isIdle(): boolean {
    return this.#connections.isEmpty && this.#input?.wanted === undefined;
  }

  #sleep({ timeout, probeAt }: { readonly timeout?: number; readonly probeAt?: number | undefined } = {}): never {
    this.#keep((log) => log.flush());
    const { lock, program, listener, process, oom, names, ports } = this.#state.descriptors;
    const stdin = this.#stdin?.number;
    const descriptors = {
      lock,
      program,
      listener,
      ...(process !== undefined && { process }),
      ...(stdin !== undefined && { stdin }),
      ...(oom !== undefined && { oom }),
      ...(names !== undefined && { names }),
      ...(ports !== undefined && { ports }),
      ...this.#outputs.descriptors,
    };
    const state = { ...this.#state, descriptors, ...(probeAt !== undefined && { probeAt }) };
    const wakes = wakesOf(descriptors);
    fallAsleep({ wakes, timeout, program, argv: monitorWords(state) }, descriptorsOf(state));
  }

  /** What belongs to one run of the container. */
  #closeRun(): void {
    this.#keep((log) => log.flush());
    this.#log?.[Symbol.dispose]();
    this.#log = undefined;
    this.#outputs[Symbol.dispose]();
    this.#closeInput();
    const { lock, program, listener, process } = this.#state.descriptors;
    if (process !== undefined) new OwnedFd(process).close();
    this.#state = { ...this.#state, descriptors: { lock, program, listener } };
  }
}

import { SIGHUP } from "../linux/constants.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { sendSignal } from "../linux/process.ts";
import { Impatience } from "./impatience.ts";
import { OwnTerminals } from "./own-terminals.ts";

/** What gocker passes on to the container's first process, as docker's --sig-proxy does. signal(7) */
const proxied = {
  SIGHUP,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGTERM: 15,
  SIGUSR1: 10,
  SIGUSR2: 12,
  SIGALRM: 14,
  SIGCONT: 18,
} as const;

const requestsToEnd: ReadonlySet<number> = new Set([proxied.SIGINT, proxied.SIGTERM]);

/** Takes gocker's signals while it is not disposed of. @param take called with the signal's number */
function takeSignals(take: (signal: number) => void): Disposable {
  const handlers = Object.entries(proxied).map(([name, number]) => ({ name, handler: () => take(number) }));
  for (const { name, handler } of handlers) process.on(name, handler);
  return {
    [Symbol.dispose]() {
      for (const { name, handler } of handlers) process.off(name, handler);
    },
  };
}

/**
 * Tells of the signals that would end gocker by default, so that it can put its terminal in order before.
 * @param onEnd called with the signal's number
 */
export function takeEndingSignals(onEnd: (signal: number) => void): Disposable {
  return takeSignals((signal) => {
    if (signal !== proxied.SIGCONT) onEnd(signal);
  });
}

/** What comes of gocker's signals beside their being passed on. */
export interface SignalEvents {
  /**
   * SIGINT or SIGTERM came for the third time within a short time (see `shortTime`), and was passed on as the others were:
   * a process 1 without handlers for them does not notice them.
   */
  readonly onImpatience: () => void;
  /** SIGHUP says that gocker's own terminal is gone. It was not passed on. */
  readonly onHangUp: () => void;
  /** A signal came before there is a process to pass it on to. */
  readonly onEarly?: (signal: number) => void;
}

/** Passes gocker's signals on to a process that is still to come: it gets those that came before it, too. */
export class ProxiedSignals implements Disposable {
  readonly #early: number[] = [];
  readonly #events: SignalEvents;
  readonly #terminals = new OwnTerminals();
  readonly #impatience = new Impatience();
  readonly #taken: Disposable;
  #process: OwnedFd | undefined;

  constructor(events: SignalEvents) {
    this.#events = events;
    this.#taken = takeSignals((signal) => this.#take(signal));
  }

  #take(signal: number): void {
    if (signal === SIGHUP && this.#terminals.haveHungUp()) return this.#events.onHangUp();
    this.pass(signal);
    if (requestsToEnd.has(signal) && this.#impatience.note(performance.now())) this.#events.onImpatience();
  }

  /** Passes a signal on as one of gocker's. */
  pass(signal: number): void {
    if (this.#process !== undefined) return void sendSignal(this.#process, signal);
    this.#early.push(signal);
    this.#events.onEarly?.(signal);
  }

  /** The program runs: it gets all signals from now on, and those that came until now. */
  passTo(process: OwnedFd): void {
    this.#process = process;
    for (const signal of this.#early) sendSignal(process, signal);
  }

  [Symbol.dispose](): void {
    this.#taken[Symbol.dispose]();
  }
}

import { SIGKILL } from "../linux/constants.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { sendSignal } from "../linux/process.ts";

/** What gocker passes on to the container's first process, as docker's --sig-proxy does. signal(7) */
const proxied = [
  ["SIGHUP", 1],
  ["SIGINT", 2],
  ["SIGQUIT", 3],
  ["SIGTERM", 15],
  ["SIGUSR1", 10],
  ["SIGUSR2", 12],
  ["SIGALRM", 14],
  ["SIGCONT", 18],
] as const;
const impatient: ReadonlySet<string> = new Set(["SIGINT", "SIGTERM"]);
/** As docker has it, whose client leaves at the third. */
const patience = 3;

/**
 * Passes gocker's signals on while it is not disposed of. A process 1 without a handler does not notice SIGINT and
 * SIGTERM; at the third of them the container is killed.
 * @param send called with the signal's number
 */
function proxySignals(send: (signal: number) => void): Disposable {
  let asked = 0;
  const handlers = proxied.map(([name, number]) => {
    const handler = () => {
      if (impatient.has(name)) asked++;
      send(asked >= patience ? SIGKILL : number);
    };
    process.on(name, handler);
    return { name, handler };
  });
  return {
    [Symbol.dispose]() {
      for (const { name, handler } of handlers) process.off(name, handler);
    },
  };
}

/** {@link proxySignals} for a process that is still to come: it gets those that came before it, too. */
export class ProxiedSignals implements Disposable {
  readonly #early: number[] = [];
  readonly #proxy: Disposable;
  #process: OwnedFd | undefined;

  /** @param onEarly told of each signal that comes before there is a process */
  constructor(onEarly: (signal: number) => void = () => {}) {
    this.#proxy = proxySignals((signal) => {
      if (this.#process !== undefined) return void sendSignal(this.#process, signal);
      this.#early.push(signal);
      onEarly(signal);
    });
  }

  /** The program runs: it gets all signals from now on, and those that came until now. */
  passTo(process: OwnedFd): void {
    this.#process = process;
    for (const signal of this.#early) sendSignal(process, signal);
  }

  [Symbol.dispose](): void {
    this.#proxy[Symbol.dispose]();
  }
}

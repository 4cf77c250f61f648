import { ProxiedSignals } from "../../container/signal-proxy.ts";
import { TerminalStdio } from "../../container/stdio.ts";
import { SIGHUP, SIGKILL } from "../../linux/constants.ts";
import type { OwnedFd } from "../../linux/fd.ts";
import { exitCodeOf, processEnded, reap } from "../../linux/process.ts";
import { connectUnix } from "../../linux/unix-socket.ts";
import { UsageError } from "../../util/errors.ts";
import { InterruptedError } from "./interrupted.ts";

/** What a process of a container has for its descriptors 0, 1 and 2, and who looks after its terminal. */
export interface ProcessStdio extends Disposable {
  readonly descriptors: readonly [number, number, number];
  readonly terminalSocket: number | undefined;
  /** The process is there: takes its terminal. */
  attach(): Promise<void>;
  /** Resolves when everything that it wrote on its terminal has been shown. */
  drain(): Promise<void>;
}

/**
 * The caller's own descriptors; for a process with a terminal that goes to the console socket nothing else; and for one
 * with a terminal and nobody else to take it gocker itself, which shows it on its own.
 * @throws UsageError there is a console socket and no terminal, or a terminal and nobody to take it
 */
export function processStdio(options: {
  readonly terminal: boolean;
  readonly consoleSocket: string | undefined;
  readonly detach: boolean;
}): ProcessStdio {
  const { terminal, consoleSocket, detach } = options;
  if (terminal && consoleSocket === undefined && !detach) {
    const stdio = new TerminalStdio({ interactive: true });
    return {
      descriptors: stdio.descriptors,
      terminalSocket: stdio.terminalSocket,
      attach: () => stdio.attach(),
      drain: () => stdio.drain(),
      [Symbol.dispose]: () => stdio[Symbol.dispose](),
    };
  }
  if (!terminal && consoleSocket !== undefined) {
    throw new UsageError("there is no terminal to send to the console socket", { hint: "leave --console-socket out" });
  }
  if (terminal && consoleSocket === undefined) {
    throw new UsageError("nobody is there to take the terminal of a detached process", {
      hint: "name a socket with --console-socket",
    });
  }
  const socket = consoleSocket === undefined ? undefined : connectUnix(consoleSocket);
  return {
    descriptors: [0, 1, 2],
    terminalSocket: socket?.number,
    attach: async () => {},
    drain: async () => {},
    [Symbol.dispose]: () => socket?.close(),
  };
}

/** What the caller asks for by signals, from before a container is made until it ends. */
export class ForegroundSignals implements Disposable {
  readonly #abort = new AbortController();
  readonly #signals = new ProxiedSignals({
    onEarly: (signal) => {
      if (ending.has(signal)) this.#abort.abort(new InterruptedError(signal));
    },
    // Nobody else looks after the process.
    onImpatience: () => this.#signals.pass(SIGKILL),
    onHangUp: () => this.#signals.pass(SIGHUP),
  });

  /** Aborted with an {@link InterruptedError} when gocker is to end before there is a program to tell. */
  get aborted(): AbortSignal {
    return this.#abort.signal;
  }

  /** See `ProxiedSignals.passTo`. */
  passTo(process: OwnedFd): void {
    this.#signals.passTo(process);
  }

  [Symbol.dispose](): void {
    this.#signals[Symbol.dispose]();
  }
}

/** Those that end a program by default and are sent to end it. signal(7) */
const ending: ReadonlySet<number> = new Set([1, 2, 3, 15, SIGKILL]);

/** Waits for a child. @returns its exit code, 128 and the signal's number when one ended it */
export async function waitFor(process: { readonly pid: number; readonly pidfd: OwnedFd }): Promise<number> {
  await processEnded(process.pidfd);
  return exitCodeOf(reap(process.pid));
}

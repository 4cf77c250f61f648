import { fchownSync } from "node:fs";
import { createPipe, createSocketPair, enlargePipe, openNull, type OwnedFd } from "../../linux/fd.ts";
import type { MonitorDescriptors } from "./state.ts";

/** As much as a busy container may write before its monitor has to read. */
const pipeSize = 1024 * 1024;

type Ends = Pick<MonitorDescriptors, "stdin" | "stdout" | "stderr" | "terminalSocket">;

/** The descriptors of a container and those of its monitor, at the other ends. */
export interface MonitoredStdio extends Disposable {
  readonly ofContainer: readonly [number, number, number];
  readonly terminalSocket?: number;
  readonly ofMonitor: Ends;
  /** The container has its own. */
  closeContainersEnds(): void;
  /** The monitor's, which are the caller's to close then. */
  release(): Ends;
}

/**
 * Pipes, or a socket on which the terminal comes.
 * @param owner the container's user: programs open /dev/stdout anew, which asks for permission on the pipe itself
 * @throws SystemCallError
 */
export function openMonitoredStdio(
  { terminal, interactive }: { readonly terminal: boolean; readonly interactive?: boolean },
  owner: number,
): MonitoredStdio {
  const nothing = openNull();
  if (terminal) {
    const { reader, writer } = createSocketPair();
    const ofContainer = [nothing.number, nothing.number, nothing.number] as const;
    return new Pairs({
      ofContainer,
      terminalSocket: writer.number,
      theirs: [nothing, writer],
      ours: { terminalSocket: reader },
    });
  }
  const [output, errors] = [createPipe(), createPipe()];
  const input = interactive === true ? createPipe() : undefined;
  for (const pipe of [output, errors]) enlargePipe(pipe.writer.number, pipeSize);
  const keepGroup = -1;
  const theirs = [input?.reader, output.writer, errors.writer].filter((fd) => fd !== undefined);
  if (owner !== 0) for (const { number } of theirs) fchownSync(number, owner, keepGroup);
  return new Pairs({
    ofContainer: [(input?.reader ?? nothing).number, output.writer.number, errors.writer.number],
    theirs: [nothing, ...theirs],
    ours: { stdout: output.reader, stderr: errors.reader, ...(input !== undefined && { stdin: input.writer }) },
  });
}

interface PairsOptions {
  readonly ofContainer: readonly [number, number, number];
  readonly terminalSocket?: number;
  readonly theirs: readonly OwnedFd[];
  readonly ours: Readonly<Partial<Record<keyof Ends, OwnedFd>>>;
}

class Pairs implements MonitoredStdio {
  readonly ofContainer: readonly [number, number, number];
  readonly terminalSocket?: number;
  readonly #theirs: readonly OwnedFd[];
  readonly #ours: PairsOptions["ours"];

  constructor({ ofContainer, terminalSocket, theirs, ours }: PairsOptions) {
    this.ofContainer = ofContainer;
    if (terminalSocket !== undefined) this.terminalSocket = terminalSocket;
    this.#theirs = theirs;
    this.#ours = ours;
  }

  get ofMonitor(): Ends {
    return this.#numbers((fd) => fd.number);
  }

  closeContainersEnds(): void {
    for (const fd of this.#theirs) fd.close();
  }

  release(): Ends {
    return this.#numbers((fd) => fd.release());
  }

  #numbers(numberOf: (fd: OwnedFd) => number): Ends {
    return Object.fromEntries(Object.entries(this.#ours).map(([name, fd]) => [name, numberOf(fd)]));
  }

  [Symbol.dispose](): void {
    this.closeContainersEnds();
    for (const fd of Object.values(this.#ours)) fd.close();
  }
}

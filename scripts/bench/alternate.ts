import type { Command, Runner, Surroundings } from "./runner.ts";
import type { Sample } from "./protocol.ts";
import { type Summary, summarise } from "./statistics.ts";

/** One of those that are compared. */
export interface Contender extends Command {
  readonly name: string;
  readonly runner: Runner;
  /** What is run before and after each run, out of the measured time. */
  readonly before?: readonly string[];
  readonly after?: readonly string[];
}

/** What was measured of a contender; {@link problem} instead when it does not work on this machine. */
export interface Row {
  readonly name: string;
  readonly runs: number;
  /** Milliseconds. */
  readonly wall?: Summary;
  /** Milliseconds of processor time, children that were waited for included. */
  readonly cpu?: Summary;
  /** The largest resident set of any one process of it, the largest of all runs. */
  readonly peakBytes?: number;
  readonly problem?: string;
}

/** How often everything is run. */
export interface Rounds {
  readonly warmUp: number;
  readonly measured: number;
  /** Further rounds that only measure memory; none: memory is measured in the others. */
  readonly memory?: number;
}

/** Makes what each run needs new: a file system, for example. */
export type Prepare = (contender: Contender) => Promise<Surroundings>;

/** How {@link alternate} goes about it. */
export interface AlternateOptions {
  readonly rounds: Rounds;
  readonly prepare?: Prepare | undefined;
  readonly onRound: (round: number, of: number) => void;
  /** Ends everything after the run that is under way, by throwing its reason. */
  readonly signal: AbortSignal;
}

/**
 * Runs all contenders in turn, every second round in the opposite order, so that a load on the machine falls on all of
 * them alike. One that fails drops out and the others go on.
 */
export async function alternate(
  contenders: readonly Contender[],
  { rounds, prepare, onRound, signal }: AlternateOptions,
): Promise<Row[]> {
  const series = new Map<Contender, Series>(contenders.map((contender) => [contender, new Series()]));
  const memoryRounds = rounds.memory ?? 0;
  const total = rounds.warmUp + rounds.measured + memoryRounds;
  for (let round = 0; round < total; round++) {
    onRound(round + 1, total);
    const kind = round < rounds.warmUp ? "warm-up" : round < rounds.warmUp + rounds.measured ? "time" : "memory";
    const memory = kind === "memory" || (kind === "time" && memoryRounds === 0);
    for (const [contender, its] of round % 2 === 0 ? series : [...series].toReversed()) {
      if (its.problem !== undefined) continue;
      signal.throwIfAborted();
      try {
        await using surroundings = await prepare?.(contender);
        await using _ = await aroundRun(contender);
        its.take(await contender.runner.run(contender, { memory }), kind);
        await surroundings?.verify();
      } catch (error) {
        // A ctrl-C has reached the command too.
        signal.throwIfAborted();
        its.problem = error instanceof Error ? error.message : String(error);
      }
    }
  }
  return [...series].map(([{ name }, its]) => its.row(name));
}

/** Runs what comes before a contender's run; what comes after it is run by `await using`, also when the run has failed. */
async function aroundRun({ runner, before, after }: Contender): Promise<AsyncDisposable> {
  if (before !== undefined) await runner.run({ words: before }, { memory: false });
  return {
    [Symbol.asyncDispose]: async () => {
      if (after !== undefined) await runner.run({ words: after }, { memory: false });
    },
  };
}

class Series {
  problem: string | undefined;
  readonly #wall: number[] = [];
  readonly #cpu: number[] = [];
  #peakBytes = 0;

  take(sample: Sample, kind: "warm-up" | "time" | "memory"): void {
    if (sample.peakBytes !== undefined) this.#peakBytes = Math.max(this.#peakBytes, sample.peakBytes);
    if (kind !== "time") return;
    this.#wall.push(sample.wall);
    this.#cpu.push(sample.cpu);
  }

  row(name: string): Row {
    const runs = this.#wall.length;
    if (this.problem !== undefined) return { name, runs, problem: this.problem };
    return {
      name,
      runs,
      wall: summarise(this.#wall),
      cpu: summarise(this.#cpu),
      ...(this.#peakBytes > 0 && { peakBytes: this.#peakBytes }),
    };
  }
}

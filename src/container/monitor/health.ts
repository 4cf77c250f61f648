import type { OwnedFd } from "../../linux/fd.ts";
import { readSome } from "../../linux/fd.ts";
import { SIGKILL } from "../../linux/constants.ts";
import { pollEvent } from "../../linux/poll.ts";
import { exitCodeOf, reap, sendSignal } from "../../linux/process.ts";
import { errorMessage } from "../../util/errors.ts";
import { type HealthProbe, unknownHealth } from "../healthcheck.ts";
import type { ContainerHealth } from "../record.ts";
import type { Waiting } from "../../linux/waiting.ts";

/** A probe that was started: a child of this process, and the reading end of its outputs. */
export interface RunningProbe extends Disposable {
  readonly pid: number;
  readonly pidfd: OwnedFd;
  readonly output: OwnedFd;
}

/** What a health check needs of the container, and what it tells. */
export interface HealthDuties {
  /**
   * Starts the probe's program in the container.
   * @returns undefined when the container is paused, or at its end: there is nothing to find out
   * @throws what kept it from that
   */
  startProbe(args: readonly string[]): Promise<RunningProbe | undefined>;
  onHealth(health: ContainerHealth, options: { readonly changed: boolean }): void;
}

/** What is kept of a probe's output, in bytes; and of how many probes. As docker has it. */
const mostOutput = 4096;
const mostResults = 5;
/** What docker notes as the exit code of a probe that took too long, or could not be started. */
const noExitCode = -1;

interface Attempt {
  readonly probe: RunningProbe;
  readonly begun: number;
  readonly chunks: Uint8Array[];
  bytes: number;
  hasEnded: boolean;
  /** It took too long, and was killed. */
  isLate: boolean;
  isOutputOpen: boolean;
}

const milliseconds = (nanoseconds: number): number => nanoseconds / 1e6;

/** Finds out again and again whether a container works. Times are in milliseconds since 1970. */
export class HealthCheck implements Disposable {
  readonly #probe: HealthProbe;
  readonly #duties: HealthDuties;
  readonly #started: number;
  readonly #buffer = new Uint8Array(mostOutput);
  #health: ContainerHealth;
  #nextAt: number;
  #attempt: Attempt | undefined;

  /**
   * @param since when the container was started
   * @param known what is on record already, and when the next probe is due: after a sleep
   */
  constructor(
    probe: HealthProbe,
    duties: HealthDuties,
    since: number,
    known: { readonly health?: ContainerHealth | undefined; readonly nextAt?: number | undefined },
  ) {
    this.#probe = probe;
    this.#duties = duties;
    this.#started = since;
    this.#health = known.health ?? unknownHealth;
    this.#nextAt = known.nextAt ?? since + this.#interval(since);
    if (known.health === undefined) duties.onHealth(this.#health, { changed: false });
  }

  /** When the next probe is due. */
  get nextAt(): number {
    return this.#nextAt;
  }

  /** A probe is being made. */
  get isBusy(): boolean {
    return this.#attempt !== undefined;
  }

  /** Milliseconds until {@link act} has something to do, if nothing else happens. */
  timeLeft(now: number): number {
    const attempt = this.#attempt;
    if (attempt?.isLate === true) return Number.POSITIVE_INFINITY;
    const at = attempt === undefined ? this.#nextAt : attempt.begun + milliseconds(this.#probe.timeout);
    return Math.max(0, at - now);
  }

  /** What is waited for, and what is done then. */
  *waiting(): Generator<Waiting> {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    const { pidfd, output } = attempt.probe;
    yield { fd: pidfd.number, events: pollEvent.readable, serve: () => void (attempt.hasEnded = true) };
    if (attempt.isOutputOpen) {
      yield { fd: output.number, events: pollEvent.readable, serve: () => this.#read(attempt) };
    }
  }

  #read(attempt: Attempt): void {
    const bytes = readSome(attempt.probe.output.number, this.#buffer);
    if (bytes.length === 0) attempt.isOutputOpen = false;
    const kept = bytes.slice(0, Math.max(0, mostOutput - attempt.bytes));
    // A probe may write for as long as it runs: of what is not kept there must be nothing.
    if (kept.length > 0) attempt.chunks.push(kept);
    attempt.bytes += kept.length;
  }

  /** Does what is due: begins a probe, takes the result of one that has ended, or ends one that takes too long. */
  async act(now: number): Promise<void> {
    const attempt = this.#attempt;
    if (attempt === undefined) {
      if (now >= this.#nextAt) await this.#begin(now);
    } else if (attempt.hasEnded) {
      const exitCode = exitCodeOf(reap(attempt.probe.pid));
      const seconds = milliseconds(this.#probe.timeout) / 1000;
      if (attempt.isLate) this.#finish(attempt, now, noExitCode, `Health check exceeded timeout (${seconds}s)`);
      else this.#finish(attempt, now, exitCode, Buffer.concat(attempt.chunks).toString());
    } else if (this.timeLeft(now) === 0) {
      // Its end is waited for with everything else: in a container that is paused it comes only when that goes on.
      sendSignal(attempt.probe.pidfd, SIGKILL);
      attempt.isLate = true;
    }
  }

  async #begin(now: number): Promise<void> {
    try {
      const probe = await this.#duties.startProbe(this.#probe.args);
      if (probe === undefined) this.#nextAt = now + this.#interval(now);
      else
        this.#attempt = { probe, begun: now, chunks: [], bytes: 0, hasEnded: false, isLate: false, isOutputOpen: true };
    } catch (error) {
      this.#note(now, now, noExitCode, errorMessage(error));
    }
  }

  #finish(attempt: Attempt, now: number, exitCode: number, output: string): void {
    this.#attempt = undefined;
    attempt.probe[Symbol.dispose]();
    this.#note(attempt.begun, now, exitCode, output);
  }

  #note(begun: number, now: number, exitCode: number, output: string): void {
    const { status, failingStreak, log } = this.#health;
    const [start, end] = [new Date(begun).toISOString(), new Date(now).toISOString()];
    const results = [...log, { start, end, exitCode, output }].slice(-mostResults);
    // Failures do not count while a container that has not worked yet is still beginning to.
    const counts = status !== "starting" || begun - this.#started >= milliseconds(this.#probe.startPeriod);
    const streak = exitCode === 0 ? 0 : failingStreak + (counts ? 1 : 0);
    const next = exitCode === 0 ? "healthy" : streak >= this.#probe.retries ? "unhealthy" : status;
    this.#health = { status: next, failingStreak: streak, log: results };
    this.#nextAt = now + this.#interval(now);
    this.#duties.onHealth(this.#health, { changed: next !== status });
  }

  #interval(now: number): number {
    const { interval, startInterval, startPeriod } = this.#probe;
    const isStarting = this.#health.status !== "healthy" && now - this.#started < milliseconds(startPeriod);
    return milliseconds(isStarting ? startInterval : interval);
  }

  [Symbol.dispose](): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    this.#attempt = undefined;
    if (sendSignal(attempt.probe.pidfd, SIGKILL) || attempt.hasEnded) reap(attempt.probe.pid);
    attempt.probe[Symbol.dispose]();
  }
}

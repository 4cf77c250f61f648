import type { RestartPolicy } from "../record.ts";

/** How a container has ended, for its policy. */
export interface EndOfRun {
  readonly policy: RestartPolicy | undefined;
  readonly exitCode: number;
  /** Its user has had it stopped. */
  readonly wasStopped: boolean;
  /** How often the policy has started it again. */
  readonly restarts: number;
}

/** Whether a container that has ended is started again, by the rules of docker's --restart. */
export function isRestarted({ policy, exitCode, wasStopped, restarts }: EndOfRun): boolean {
  if (policy === undefined || wasStopped) return false;
  if (policy.name !== "on-failure") return true;
  return exitCode !== 0 && (policy.maximumRetries === undefined || restarts < policy.maximumRetries);
}

/** Milliseconds. */
const shortestPause = 100;
const longestPause = 60_000;
/** After so many of running, a container is taken for one that works. */
const longRun = 10_000;

/**
 * Milliseconds to wait before a container is started again: twice as long as the last time, unless it has run for a
 * while. As docker has it.
 * @param last what was waited before it ran; undefined for the first time
 * @param ran for how long it ran; in milliseconds
 */
export function pauseBeforeRestart(last: number | undefined, ran: number): number {
  if (last === undefined || ran >= longRun) return shortestPause;
  return Math.min(last * 2, longestPause);
}

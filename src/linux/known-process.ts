import { OwnedFd } from "./fd.ts";
import { openPidfd } from "./process.ts";
import { processState } from "./process-state.ts";

/** A process for good: its number alone comes to mean another one some day. */
export interface KnownProcess {
  readonly pid: number;
  /** In clock ticks since boot. */
  readonly startTime: number;
}

/** Whether a process lives; one that has ended and was not waited for does not. */
export function isAlive({ pid, startTime }: KnownProcess): boolean {
  const found = processState(pid);
  return found !== undefined && found.startTime === startTime && found.letter !== "Z" && found.letter !== "X";
}

/**
 * A process, held so that no other one can be meant by its number.
 * @returns undefined when it has ended
 * @throws SystemCallError
 */
export function openKnownProcess(process: KnownProcess): OwnedFd | undefined {
  const number = openPidfd(process.pid);
  if (number === undefined) return undefined;
  const pidfd = new OwnedFd(number);
  // Compared after opening: from now on the descriptor cannot come to mean another process.
  if (isAlive(process)) return pidfd;
  pidfd.close();
  return undefined;
}

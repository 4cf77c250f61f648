import { duplicate, OwnedFd } from "../linux/fd.ts";
import type { LaunchedProcess } from "../linux/launch/launch.ts";
import type { LaunchOutcome } from "../linux/launch/status.ts";
import { isChild, openPidfd, processEnded, reap } from "../linux/process.ts";
import { GockerError } from "../util/errors.ts";
import { launchError } from "./errors.ts";

/** The process that a plan has become: a child of gocker's, to be waited for or left. Disposing closes the descriptor. */
export interface PlannedProcess extends Disposable {
  readonly pid: number;
  readonly pidfd: OwnedFd;
}

/**
 * The process in which a plan goes on: the one that was launched, or the child that this has told of before it left.
 * @param child see `LaunchStatus.childTold`
 */
export function processOfPlan(first: LaunchedProcess, child: number | undefined): PlannedProcess {
  if (child === undefined) return planned(first.pid, duplicate(first.pidfd.number));
  reap(first.pid);
  // Nobody has waited for it yet, so the number is its own.
  const number = openPidfd(child);
  if (number === undefined) throw new Error(`the process ${child} is gone before it was waited for`);
  const pidfd = new OwnedFd(number);
  if (isChild(pidfd)) return planned(child, pidfd);
  // Whoever may trace the child in the container's pid namespace may also write what its maker has written.
  pidfd.close();
  throw new GockerError("LAUNCH", `the process ${child} is not the one that was made for the container`);
}

/**
 * Waits until the program of a plan runs.
 * @param program what a message calls it
 * @throws ExecutionError, SystemCallError: the process has ended then, and was waited for
 */
export async function programOfPlan(first: LaunchedProcess, program: string): Promise<PlannedProcess> {
  const outcome = await first.status.outcome();
  return await runningProgram(processOfPlan(first, outcome.child), outcome, program);
}

/** {@link programOfPlan}, for a process that is known already. */
export async function runningProgram(
  started: PlannedProcess,
  outcome: LaunchOutcome,
  program: string,
): Promise<PlannedProcess> {
  const error = launchError(outcome, program);
  if (error === undefined) return started;
  await processEnded(started.pidfd);
  reap(started.pid);
  started[Symbol.dispose]();
  throw error;
}

function planned(pid: number, pidfd: OwnedFd): PlannedProcess {
  return { pid, pidfd, [Symbol.dispose]: () => pidfd.close() };
}

import { duplicate, OwnedFd } from "../linux/fd.ts";
import type { LaunchedProcess } from "../linux/launch/launch.ts";
import { openPidfd, reap } from "../linux/process.ts";

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
  return planned(child, new OwnedFd(number));
}

function planned(pid: number, pidfd: OwnedFd): PlannedProcess {
  return { pid, pidfd, [Symbol.dispose]: () => pidfd.close() };
}

import { OwnedFd } from "../linux/fd.ts";
import { openPidfd } from "../linux/process.ts";
import { processState } from "../linux/process-state.ts";
import type { ContainerState } from "./record.ts";

/**
 * The first process of a container that runs, as what can only mean that one. pidfd_open(2)
 * @returns undefined when it has ended, or does not run
 */
export function openFirstProcess({ status, pid, pidStartTime }: ContainerState): OwnedFd | undefined {
  if (status !== "running" || pid === undefined) return undefined;
  const number = openPidfd(pid);
  if (number === undefined) return undefined;
  const pidfd = new OwnedFd(number);
  // Compared after opening: from now on the descriptor cannot come to mean another process.
  if (processState(pid)?.startTime === pidStartTime) return pidfd;
  pidfd.close();
  return undefined;
}

import type { OwnedFd } from "../linux/fd.ts";
import { type KnownProcess, openKnownProcess } from "../linux/known-process.ts";
import type { ContainerState } from "./record.ts";

/** The first process of a container that runs, by its record; undefined when it does not run. It may have ended since. */
export function firstProcessOf({ status, pid, pidStartTime }: ContainerState): KnownProcess | undefined {
  if (status !== "running" || pid === undefined || pidStartTime === undefined) return undefined;
  return { pid, startTime: pidStartTime };
}

/**
 * The first process of a container that runs, as what can only mean that one. pidfd_open(2)
 * @returns undefined when it has ended, or does not run
 */
export function openFirstProcess(state: ContainerState): OwnedFd | undefined {
  const process = firstProcessOf(state);
  return process === undefined ? undefined : openKnownProcess(process);
}

import type { ContainerState, ContainerStatus } from "./record.ts";

/** Where a container is in its life, as Docker names it: `dead` is one that can be removed, and nothing else. */
export type ShownStatus = ContainerStatus | "paused" | "dead";

/** @param paused whether the processes of one that runs stand still: its cgroup says it */
export function shownStatus({ status }: ContainerState, paused: boolean): ShownStatus {
  return status === "running" && paused ? "paused" : status;
}

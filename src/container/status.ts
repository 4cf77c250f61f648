import type { ContainerState, ContainerStatus } from "./record.ts";

/** Where a container is in its life, as Docker names it: `dead` is one that can be removed, and nothing else. */
export type ShownStatus = ContainerStatus | "paused" | "dead";

/**
 * One that never ran is `created` with an exit code and an error, as with Docker: there was nothing that could exit.
 * @param paused whether the processes of one that runs stand still: its cgroup says it
 */
export function shownStatus({ status, startedAt }: ContainerState, paused: boolean): ShownStatus {
  if (status === "exited" && startedAt === undefined) return "created";
  return status === "running" && paused ? "paused" : status;
}

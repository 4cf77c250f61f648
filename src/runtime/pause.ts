import type { LiveContainer } from "./live-container.ts";
import { ContainerStateError } from "./runtime-container.ts";

/** What is asked of a container here, whoever keeps account of it. */
type PausableContainer = Pick<LiveContainer, "id" | "status" | "cgroup">;

/**
 * Stops all processes of a container until {@link resumeContainer}. The caller holds its lock, where it has one for that.
 * @throws ContainerStateError it does not run; CgroupError its processes cannot be stopped
 */
export function pauseContainer(container: PausableContainer): void {
  const status = container.status();
  if (status !== "running" && status !== "created") {
    throw new ContainerStateError(container.id, status, "only one that runs can be paused");
  }
  using cgroup = container.cgroup();
  cgroup.freeze();
}

/** Lets the processes of a paused container go on. The caller as with {@link pauseContainer}. @throws ContainerStateError it is not paused */
export function resumeContainer(container: PausableContainer): void {
  const status = container.status();
  if (status !== "paused") throw new ContainerStateError(container.id, status, "only a paused one can be resumed");
  using cgroup = container.cgroup();
  cgroup.thaw();
}

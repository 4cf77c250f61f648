import { ContainerStateError, type RuntimeContainer } from "./runtime-container.ts";

/**
 * Stops all processes of a container until {@link resumeContainer}. The caller holds its lock.
 * @throws ContainerStateError it does not run; CgroupError its processes cannot be stopped
 */
export function pauseContainer(container: RuntimeContainer): void {
  const status = container.status();
  if (status !== "running" && status !== "created") {
    throw new ContainerStateError(container.id, status, "only one that runs can be paused");
  }
  using cgroup = container.cgroup();
  cgroup.freeze();
}

/** Lets the processes of a paused container go on. The caller holds its lock. @throws ContainerStateError it is not paused */
export function resumeContainer(container: RuntimeContainer): void {
  const status = container.status();
  if (status !== "paused") throw new ContainerStateError(container.id, status, "only a paused one can be resumed");
  using cgroup = container.cgroup();
  cgroup.thaw();
}

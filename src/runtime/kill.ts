import { SIGKILL } from "../linux/constants.ts";
import { ContainerStateError, type RuntimeContainer } from "./runtime-container.ts";

/**
 * Sends a signal to a container's first process. SIGKILL reaches the processes of a paused container too, and all of
 * them where the container has no pid namespace of its own, whose end would end them.
 * OCI runtime specification, runtime.md, "Kill"
 * @param options.all to every process of the container, where it has a cgroup
 * @param signal 0 only looks whether it runs
 * @throws ContainerStateError it does not run
 */
export function killContainer(container: RuntimeContainer, signal: number, options: { readonly all: boolean }): void {
  // Without a cgroup only the first process is known to be the container's.
  const isKnown = container.state.withoutCgroup === undefined;
  if (isKnown && (options.all || (signal === SIGKILL && !container.state.ownPidNamespace))) {
    // Of a container that has ended processes may be left, and it is no error that there are none.
    using cgroup = container.ownCgroup();
    cgroup?.signal(signal);
    return;
  }
  const status = container.status();
  if (status === "stopped" && options.all) return;
  if (status === "stopped" || !container.signal(signal)) throw notRunning(container.id);
  if (signal !== SIGKILL || status !== "paused") return;
  using cgroup = container.cgroup();
  cgroup.thaw();
}

/** In these words containerd's shim and others know that there is nothing left to do. */
function notRunning(id: string): ContainerStateError {
  return new ContainerStateError(id, "stopped", "container not running");
}

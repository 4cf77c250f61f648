import { SIGKILL } from "../linux/constants.ts";
import { OwnedFd } from "../linux/fd.ts";
import { openPidfd, sendSignal } from "../linux/process.ts";
import { ContainerStateError, type RuntimeContainer } from "./state-store.ts";

/**
 * Sends a signal to a container's first process. SIGKILL reaches the processes of a paused container too, and all of
 * them where the container has no pid namespace of its own, whose end would end them.
 * OCI runtime specification, runtime.md, "Kill"
 * @param options.all to every process of the container
 * @param signal 0 only looks whether it runs
 * @throws ContainerStateError it does not run
 */
export function killContainer(container: RuntimeContainer, signal: number, options: { readonly all: boolean }): void {
  const status = container.status();
  using cgroup = container.cgroup();
  if (options.all) {
    // Of a container that has ended processes may be left, and it is no error that there are none.
    if (signal === SIGKILL) return cgroup.kill();
    for (const pid of cgroup.processes()) signalProcess(pid, signal);
    return;
  }
  // In a pid namespace that it shares, processes of the container outlive its first one.
  if (signal === SIGKILL && !hasOwnPidNamespace(container)) return cgroup.kill();
  if (status === "stopped" || !container.signal(signal)) throw notRunning(container.id);
  if (signal !== SIGKILL) return;
  if (status === "paused") cgroup.thaw();
}

/** In these words containerd's shim and others know that there is nothing left to do. */
function notRunning(id: string): ContainerStateError {
  return new ContainerStateError(id, "stopped", "container not running");
}

/** Whether the end of the first process ends all others. pid_namespaces(7) */
export function hasOwnPidNamespace(container: RuntimeContainer): boolean {
  return (container.readSpec().linux?.namespaces ?? []).some(({ type, path }) => type === "pid" && !path);
}

/** By its number: the cgroup said a moment ago that it is one of the container's. One that has ended since is no error. */
function signalProcess(pid: number, signal: number): void {
  const number = openPidfd(pid);
  if (number === undefined) return;
  using pidfd = new OwnedFd(number);
  sendSignal(pidfd, signal);
}

import { AT_FDCWD, O_CLOEXEC, O_RDWR, PR_SET_PDEATHSIG, SIGKILL } from "../../linux/constants.ts";
import { systemCallError } from "../../linux/errno.ts";
import { OwnedFd } from "../../linux/fd.ts";
import { launch } from "../../linux/launch/launch.ts";
import { libc } from "../../linux/libc.ts";
import { reap, sendSignal } from "../../linux/process.ts";
import { type SystemdManager, type UnitProperty, unitProperties } from "./systemd.ts";
import type { SystemdCgroupsPath } from "./systemd-path.ts";

/**
 * Has systemd make the scope of a container that does not run yet. A scope begins with a process and ends with its
 * last one, but a container is born into its cgroup: so a process that does nothing holds the place until then.
 * @param limits see `systemdProperties`
 * @returns what holds the scope: to be disposed of when the container's first process is in the cgroup, or will never be
 * @throws CgroupError systemd cannot make it
 */
export async function startScope(
  systemd: SystemdManager,
  path: SystemdCgroupsPath,
  { description, limits }: { readonly description: string; readonly limits: readonly UnitProperty[] },
): Promise<Disposable> {
  using cleanup = new DisposableStack();
  const pid = cleanup.use(startPlaceholder()).pid;
  await systemd.startTransientUnit(path.unit, [...unitProperties(path, { description, pid }), ...limits]);
  return cleanup.move();
}

/** A process that waits until it is disposed of, or its parent has died. */
function startPlaceholder(): Disposable & { readonly pid: number } {
  const fd = libc.openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
  if (fd < 0) throw systemCallError("openat", { path: "/dev/null" });
  using nothing = new OwnedFd(fd);
  const started = launch({
    namespaces: 0,
    stdio: [nothing.number, nothing.number, nothing.number],
    steps: [
      { label: "Die with gocker", group: "process", syscall: "prctl", args: [PR_SET_PDEATHSIG, SIGKILL] },
      { label: "Wait for the end", group: "process", syscall: "ppoll", args: [0, 0, 0, 0, 0] },
    ],
  });
  return {
    pid: started.pid,
    [Symbol.dispose]() {
      if (sendSignal(started.pidfd, SIGKILL)) reap(started.pid);
      started[Symbol.dispose]();
    },
  };
}

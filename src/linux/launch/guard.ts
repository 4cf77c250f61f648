import { closeSync, constants, openSync } from "node:fs";
import { O_CLOEXEC, O_WRONLY, SIGKILL } from "../constants.ts";
import { createPipe, type OwnedFd } from "../fd.ts";
import { reap, sendSignal } from "../process.ts";
import { launch } from "./launch.ts";
import { slot, type Step } from "./plan.ts";

/**
 * A process of a few kilobytes that kills the process of `pidfd` when gocker dies, however it dies. The kernel's own
 * means, PR_SET_PDEATHSIG, is forgotten when the container's program changes its user, as the entry points of many
 * database images do. Disposing ends the guard without a kill.
 * @param cgroup a directory of cgroup v2 of which all processes are killed too, where the kernel can do that at once:
 *   `cgroup.kill` is of Linux 5.14. Others are ended by the next gocker.
 * @throws SystemCallError
 */
export function guardProcess(pidfd: OwnedFd, cgroup?: number): Disposable {
  using cleanup = new DisposableStack();
  // gocker alone has the writing end, and writes nothing: reading ends when gocker does.
  const pipe = cleanup.use(createPipe());
  const nothing = cleanup.adopt(openSync("/dev/null", constants.O_RDWR), closeSync);
  const guard = launch({
    namespaces: 0,
    steps: guardSteps(pipe.reader.number, pidfd.number, cgroup),
    stdio: [nothing, nothing, nothing],
    descriptors: [pipe.reader.number, pidfd.number, ...(cgroup === undefined ? [] : [cgroup])],
  });
  pipe.reader.close();
  closeSync(nothing);
  cleanup.move();
  return {
    [Symbol.dispose]() {
      sendSignal(guard.pidfd, SIGKILL);
      reap(guard.pid);
      guard[Symbol.dispose]();
      pipe[Symbol.dispose]();
    },
  };
}

function guardSteps(lifeline: number, pidfd: number, cgroup: number | undefined): Step[] {
  const buffer = new Uint8Array(1);
  const group = "process";
  return [
    // Out of the terminal's reach: ctrl-C is for gocker, which passes it on.
    { label: "Leave gocker's session", group, syscall: "setsid", args: [] },
    { label: "Wait for gocker's end", group, syscall: "read", args: [lifeline, buffer, buffer.length] },
    {
      label: "Kill the container",
      group,
      syscall: "pidfd_send_signal",
      args: [pidfd, SIGKILL, 0, 0],
      onError: { tolerate: ["ESRCH"] },
    },
    ...(cgroup === undefined ? [] : killSteps(cgroup)),
  ];
}

function killSteps(cgroup: number): Step[] {
  const group = "process";
  const file = slot("cgroup.kill");
  const one = Buffer.from("1");
  return [
    {
      label: "Find where to kill all of a cgroup",
      group,
      syscall: "openat",
      args: [cgroup, "cgroup.kill", O_WRONLY | O_CLOEXEC],
      onError: { tolerate: ["ENOENT"], skip: 1 },
      result: file,
    },
    { label: "Kill its other processes", group, syscall: "write", args: [file, one, one.length] },
  ];
}

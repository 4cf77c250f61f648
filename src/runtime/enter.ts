import { lastCapability } from "../linux/capabilities.ts";
import { launch } from "../linux/launch/launch.ts";
import { hardLimit } from "../linux/limits.ts";
import { lsmSupport } from "../linux/lsm.ts";
import type { Process } from "../oci/runtime-spec.ts";
import { openCgroup } from "./cgroup/open.ts";
import { joinedDescriptors } from "./container-process.ts";
import { buildExecPlan } from "./plan/exec-plan.ts";
import type { JoinTarget } from "./plan/join.ts";
import { type PlannedProcess, programOfPlan } from "./planned-process.ts";
import { compileSeccomp } from "./seccomp/compile.ts";
import type { RuntimeContainer } from "./runtime-container.ts";
import { nullDescriptors } from "./stdio.ts";

/** A process that is to be in a container. */
export interface Entry {
  readonly target: JoinTarget;
  /** Of the cgroup that it joins, as `openCgroup` takes it. */
  readonly cgroupPath: string;
  /** With its environment as it will be. */
  readonly process: Process;
  /** See `ProgramInput.file`. */
  readonly file?: string | undefined;
  readonly stdio: readonly [number, number, number];
  /** A socket for the terminal's master side, when `process.terminal` is set. */
  readonly terminalSocket?: number | undefined;
  readonly newKeyring: boolean;
  readonly preservedDescriptors: number;
}

/**
 * Starts a process in a container, held by all that holds the container's own: user, capabilities and labels as
 * `entry.process` has them, the container's system call filter, cgroup, personality and memory policy.
 * @returns when its program runs
 * @throws ExecutionError the program cannot be executed; SystemCallError; CgroupError
 */
export async function enterContainer(container: RuntimeContainer, entry: Entry): Promise<PlannedProcess> {
  const { target, process, stdio, terminalSocket, preservedDescriptors } = entry;
  const { seccomp, personality, memoryPolicy } = container.readSpec().linux ?? {};
  using cgroup = openCgroup(entry.cgroupPath);
  const joinCgroup = cgroup.joinSteps();
  const steps = buildExecPlan({
    id: container.id,
    process,
    file: entry.file,
    target,
    joinCgroup,
    seccomp: seccomp === undefined ? undefined : compileSeccomp(seccomp),
    lastCapability: lastCapability(),
    hardLimit,
    terminalSocket,
    nullStdio: nullDescriptors(stdio),
    newKeyring: entry.newKeyring,
    preservedDescriptors,
    personality,
    memoryPolicy,
    lsm: lsmSupport,
  });
  const preserved = Array.from({ length: preservedDescriptors }, (_, index) => 3 + index);
  const descriptors = [target.pidfd, target.root, ...joinedDescriptors(joinCgroup), ...preserved];
  if (terminalSocket !== undefined) descriptors.push(terminalSocket);
  using first = launch({ namespaces: 0, intoCgroup: cgroup.cloneInto, steps, stdio, descriptors });
  return await programOfPlan(first, entry.file ?? process.args?.[0] ?? "");
}

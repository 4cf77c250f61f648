import { posix } from "node:path";
import { lastCapability } from "../linux/capabilities.ts";
import { lsmSupport } from "../linux/lsm.ts";
import { launch } from "../linux/launch/launch.ts";
import { processEnded, reap } from "../linux/process.ts";
import type { Process } from "../oci/runtime-spec.ts";
import { execCgroupPath } from "./cgroup/exec-path.ts";
import type { Cgroup } from "./cgroup/cgroup.ts";
import { openCgroup } from "./cgroup/open.ts";
import { UsageError } from "../util/errors.ts";
import { joinedDescriptors, nullDescriptors } from "./container-process.ts";
import { withEnvironment } from "./environment.ts";
import { knownCapabilities } from "./known-capabilities.ts";
import { launchError } from "./errors.ts";
import { openJoinTarget } from "./join-target.ts";
import { buildExecPlan } from "./plan/exec-plan.ts";
import { compileSeccomp } from "./seccomp/compile.ts";
import { type PlannedProcess, processOfPlan } from "./planned-process.ts";
import { ContainerStateError, type RuntimeContainer } from "./state-store.ts";

/** What a further process in a container is started with. */
export interface ExecOptions {
  readonly process: Process;
  readonly stdio: readonly [number, number, number];
  /** A socket for the terminal's master side, when `process.terminal` is set. */
  readonly terminalSocket?: number | undefined;
  readonly newKeyring: boolean;
  readonly preservedDescriptors: number;
  /** Start it in a paused container too: it stands still there until that goes on. */
  readonly ignorePaused: boolean;
  /** A cgroup below the container's, by its path from there. */
  readonly subCgroup?: string | undefined;
}

/**
 * Starts a further process in a container that runs, and returns when its program runs.
 * @throws ContainerStateError the container does not run; ExecutionError the program cannot be executed; SystemCallError
 */
export async function execInContainer(container: RuntimeContainer, options: ExecOptions): Promise<PlannedProcess> {
  const status = container.status();
  if (status === "stopped" || status === "creating") {
    throw new ContainerStateError(container.id, status, "nothing can be executed in it");
  }
  if (status === "paused" && !options.ignorePaused) {
    throw new ContainerStateError(container.id, status, "cannot exec in a paused container");
  }
  using target = openJoinTarget(container);
  if (target === undefined) throw new ContainerStateError(container.id, "stopped", "nothing can be executed in it");
  using own = container.cgroup();
  using cgroup = openCgroup(cgroupToJoin(own, container, options.subCgroup));
  const spec = container.readSpec();
  const { seccomp, personality } = spec.linux ?? {};
  // The container's is for processes that say nothing of their own.
  const affinity = spec.process?.execCPUAffinity;
  const { stdio, terminalSocket, newKeyring, preservedDescriptors } = options;
  const process = withEnvironment(knownCapabilities(options.process), target.root);
  const joinCgroup = cgroup.joinSteps();
  const steps = buildExecPlan({
    id: container.id,
    process: { ...(affinity !== undefined && { execCPUAffinity: affinity }), ...process },
    target,
    joinCgroup,
    seccomp: seccomp === undefined ? undefined : compileSeccomp(seccomp),
    lastCapability: lastCapability(),
    terminalSocket,
    nullStdio: nullDescriptors(stdio),
    newKeyring,
    preservedDescriptors,
    personality,
    lsm: lsmSupport,
  });
  const preserved = Array.from({ length: preservedDescriptors }, (_, index) => 3 + index);
  const descriptors = [target.pidfd, target.root, ...joinedDescriptors(joinCgroup), ...preserved];
  if (terminalSocket !== undefined) descriptors.push(terminalSocket);
  using first = launch({ namespaces: 0, intoCgroup: cgroup.cloneInto, steps, stdio, descriptors });
  const outcome = await first.status.outcome();
  const started = processOfPlan(first, outcome.child);
  const error = launchError(outcome, process.args?.[0] ?? "");
  if (error === undefined) return started;
  await processEnded(started.pidfd);
  reap(started.pid);
  started[Symbol.dispose]();
  throw error;
}

function cgroupToJoin(own: Cgroup, container: RuntimeContainer, below: string | undefined): string {
  if (below === undefined) return execCgroupPath(own, container.state.pid);
  const path = posix.normalize(`${own.path}/${below}`).replace(/\/$/, "");
  if (path === own.path || path.startsWith(`${own.path}/`)) return path;
  throw new UsageError(`bad sub cgroup path ${JSON.stringify(below)}: it leads out of the container's own`);
}

import { lastCapability } from "../linux/capabilities.ts";
import { SIGKILL } from "../linux/constants.ts";
import { createPipe, writeAll } from "../linux/fd.ts";
import { launch, type LaunchedProcess, type LaunchRequest } from "../linux/launch/launch.ts";
import { hardLimit } from "../linux/limits.ts";
import { lsmSupport } from "../linux/lsm.ts";
import { reap, sendSignal } from "../linux/process.ts";
import type { Process } from "../oci/runtime-spec.ts";
import { SystemCallError } from "../util/errors.ts";
import type { JoinedCgroup } from "./cgroup/exec-cgroup.ts";
import { ownHostRights } from "./host-rights.ts";
import type { LiveContainer } from "./live-container.ts";
import { joinedDescriptors } from "./plan/cgroup-join.ts";
import { buildExecPlan } from "./plan/exec-plan.ts";
import type { JoinTarget } from "./plan/join.ts";
import { filterInForce } from "./plan/seccomp-listener.ts";
import { type PlannedProcess, processOfPlan, programOfPlan, runningProgram } from "./planned-process.ts";
import { compileSeccomp } from "./seccomp/compile.ts";
import { listenerOf } from "./seccomp/listener.ts";
import { nullDescriptors, ownedStdio } from "./stdio.ts";

/** A process that is to be in a container. */
export interface Entry {
  readonly target: JoinTarget;
  /** What it joins. */
  readonly cgroup: JoinedCgroup;
  /** With its environment as it will be. */
  readonly process: Process;
  /** See `ProgramInput.file`. */
  readonly file?: string | undefined;
  readonly stdio: readonly [number, number, number];
  /** A socket for the terminal's master side, when `process.terminal` is set. */
  readonly terminalSocket?: number | undefined;
  /** See `addTerminal`. */
  readonly plainOutput?: boolean;
  readonly newKeyring: boolean;
  readonly preservedDescriptors: number;
  /** Told when the process cannot join the container's cgroup and goes without, as with runc; absent: that is an error. */
  readonly warn?: ((message: string) => void) | undefined;
}

/**
 * Starts a process in a container, held by all that holds the container's own: user, capabilities and labels as
 * `entry.process` has them, the container's system call filter, cgroup, personality and memory policy.
 * @returns when its program runs
 * @throws ExecutionError the program cannot be executed; SystemCallError; CgroupError
 */
export async function enterContainer(container: LiveContainer, entry: Entry): Promise<PlannedProcess> {
  const { target, cgroup, process, stdio, terminalSocket, preservedDescriptors } = entry;
  const program = entry.file ?? process.args?.[0] ?? "";
  const { seccomp, personality, memoryPolicy } = container.readSpec().linux ?? {};
  const listener = listenerOf(seccomp);
  using cleanup = new DisposableStack();
  const release = listener === undefined ? undefined : cleanup.use(createPipe());
  const joinCgroup = cgroup.joinSteps();
  const rights = ownHostRights();
  const steps = buildExecPlan({
    id: container.id,
    process,
    file: entry.file,
    target,
    rights,
    givenStdio: process.terminal === true || rights.isRoot ? [] : ownedStdio(stdio),
    joinCgroup,
    seccomp: seccomp === undefined ? undefined : compileSeccomp(seccomp),
    lastCapability: lastCapability(),
    hardLimit,
    terminalSocket,
    plainOutput: entry.plainOutput,
    nullStdio: nullDescriptors(stdio),
    newKeyring: entry.newKeyring,
    preservedDescriptors,
    release: release?.reader.number,
    personality,
    memoryPolicy,
    lsm: lsmSupport,
  });
  const preserved = Array.from({ length: preservedDescriptors }, (_, index) => 3 + index);
  const descriptors = [target.pidfd, target.root, ...joinedDescriptors(joinCgroup), ...preserved];
  if (terminalSocket !== undefined) descriptors.push(terminalSocket);
  if (release !== undefined) descriptors.push(release.reader.number);
  using first = launchInto(cgroup, { namespaces: 0, steps, stdio, descriptors }, entry.warn);
  if (listener === undefined || release === undefined) return await programOfPlan(first, program);
  const entered = await handedOver(first, {
    tellsChild: steps.some(({ onSuccess }) => onSuccess?.parent === "tells"),
    handOver: async ({ pid, pidfd }) => {
      const { handListenerOver } = await import("./seccomp-agent.ts");
      handListenerOver(listener, { pid, pidfd, preservedDescriptors }, container.ociState());
      writeAll(release.writer.number, new Uint8Array(1));
    },
  });
  return await runningProgram(entered, await first.status.outcome(), program);
}

function launchInto(
  { cloneInto }: JoinedCgroup,
  request: LaunchRequest,
  warn: ((message: string) => void) | undefined,
): LaunchedProcess {
  try {
    return launch({ ...request, intoCgroup: cloneInto });
  } catch (error) {
    const isRefused = cloneInto !== undefined && error instanceof SystemCallError && error.errnoName === "EACCES";
    if (!isRefused || warn === undefined) throw error;
    warn(`the process is not in the container's cgroup: ${error.hint ?? error.message}`);
    return launch(request);
  }
}

/** The process of a plan whose filter notifies, once its listener is the agent's. It is gone when that fails. */
async function handedOver(
  first: LaunchedProcess,
  plan: { readonly tellsChild: boolean; readonly handOver: (process: PlannedProcess) => Promise<void> },
): Promise<PlannedProcess> {
  const child = plan.tellsChild ? await first.status.childTold() : undefined;
  const process = processOfPlan(first, child);
  try {
    if (await first.status.reaches(filterInForce)) await plan.handOver(process);
    return process;
  } catch (error) {
    sendSignal(process.pidfd, SIGKILL);
    reap(process.pid);
    process[Symbol.dispose]();
    throw error;
  }
}

import { AT_FDCWD, CLONE_NEWPID, CLONE_NEWUSER, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../../linux/constants.ts";
import type { Step } from "../../linux/launch/plan.ts";
import type { LsmSupport } from "../../linux/lsm.ts";
import type { Linux, Process } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { SeccompFilter } from "../seccomp/compile.ts";
import { PlanBuilder } from "./builder.ts";
import { addCgroupJoin } from "./cgroup-join.ts";
import { addNullStdio, directoryOfNull } from "./devices.ts";
import { addJoin, type JoinTarget } from "./join.ts";
import { addLabelledKeyring, hasLabels, openHostProc } from "./labels.ts";
import { addChild } from "./namespaces.ts";
import { addRaisedLimits } from "./limits.ts";
import { addOomScore, openWorkingDirectory } from "./process.ts";
import { addProgram } from "./program.ts";
import { type HostRights, rightsOfRoot } from "./rights.ts";
import { addFinalAffinity, addInitialAffinity } from "./scheduler.ts";
import { addTerminal } from "./terminal.ts";

/** Everything that decides the plan of a further process in a container. */
export interface ExecPlanInput {
  readonly id: string;
  readonly process: Process;
  /** See `ProgramInput.file`. */
  readonly file?: string | undefined;
  readonly target: JoinTarget;
  /** The host's root's, unless told. */
  readonly rights?: HostRights | undefined;
  /** Standard descriptors for `addStdioOwner`. */
  readonly givenStdio?: readonly number[] | undefined;
  /** How it joins the container's cgroup. */
  readonly joinCgroup: readonly Step[];
  readonly seccomp: SeccompFilter | undefined;
  /** The number of the newest capability that the kernel knows. */
  readonly lastCapability: number;
  /** See `addRaisedLimits`. */
  hardLimit(this: void, resource: number): bigint;
  /** Where the terminal's master side goes; needed when `process.terminal` is set. */
  readonly terminalSocket?: number | undefined;
  /** See `addTerminal`. */
  readonly plainOutput?: boolean | undefined;
  /** Which of the descriptors 0, 1 and 2 are the host's null device. */
  readonly nullStdio: readonly number[];
  readonly newKeyring: boolean;
  readonly preservedDescriptors: number;
  /** The reading end of a pipe, for a filter that notifies: see `addListenerHandover`. */
  readonly release?: number | undefined;
  /** `linux.personality` of the container. */
  readonly personality?: Linux["personality"];
  /** `linux.memoryPolicy` of the container. */
  readonly memoryPolicy?: Linux["memoryPolicy"];
  lsm(): LsmSupport;
}

/**
 * The steps by which a process enters a container and becomes a program in it. Where that has a pid namespace of its own,
 * the process that enters is not in there: it makes a child, a sibling of its own (CLONE_PARENT) so that the launcher can
 * wait for it, tells the child's number and leaves. Nothing but the steps is in either of them: what a container can see
 * of the process that comes in holds nothing of gocker's (CVE-2016-9962, CVE-2019-5736, CVE-2024-21626).
 * @throws InvalidDocumentError the process breaks the specification's rules
 */
export function buildExecPlan(input: ExecPlanInput): Step[] {
  const { process, target, rights = rightsOfRoot } = input;
  const builder = new PlanBuilder();
  // First, while the process can still do that: in the container its files may not be there.
  addInitialAffinity(builder, process.execCPUAffinity);
  addCgroupJoin(builder, input.joinCgroup);
  addFinalAffinity(builder, process.execCPUAffinity);
  if (process.oomScoreAdj !== undefined) addOomScore(builder, process.oomScoreAdj);
  const labels = hasLabels(process) ? { proc: openHostProc(builder), lsm: input.lsm() } : undefined;
  const hasUsers = (target.namespaces & CLONE_NEWUSER) !== 0;
  if (hasUsers && rights.isRoot) addRaisedLimits(builder, process.rlimits ?? [], input.hardLimit);
  addJoin(builder, target);
  if ((target.namespaces & CLONE_NEWPID) !== 0) addChild(builder);
  if (input.newKeyring) addLabelledKeyring(builder, `gocker.${input.id}`, process.selinuxLabel, labels);
  builder.add({
    label: "Open the root directory",
    group: "file system",
    syscall: "openat",
    args: [AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC],
    result: builder.root,
  });
  // A device that is made has exactly the mode that is asked for.
  builder.add({ label: "Let modes be as given", group: "file system", syscall: "umask", args: [0] });
  // As in the container's own plan.
  if (input.nullStdio.length > 0 && !hasUsers && rights.makesDevices)
    addNullStdio(builder, directoryOfNull(builder, undefined), input.nullStdio);
  if (process.terminal === true) {
    if (input.terminalSocket === undefined) {
      throw new InvalidDocumentError("process.terminal: nobody is there to take the terminal");
    }
    addTerminal(builder, {
      devpts: undefined,
      socket: input.terminalSocket,
      owner: process.user.uid,
      size: process.consoleSize,
      plainOutput: input.plainOutput,
    });
  }
  const directory = openWorkingDirectory(builder, process.cwd);
  addProgram(builder, {
    process,
    file: input.file,
    directory,
    seccomp: input.seccomp,
    lastCapability: input.lastCapability,
    setgroupsDenied: target.setgroupsDenied,
    givenStdio: input.givenStdio,
    diesWithParent: false,
    reaper: false,
    release: input.release,
    preservedDescriptors: input.preservedDescriptors,
    personality: input.personality,
    memoryPolicy: input.memoryPolicy,
    labels,
  });
  return builder.steps;
}

import type { Slot } from "../../linux/launch/plan.ts";
import type { LsmSupport } from "../../linux/lsm.ts";
import type { Linux, Process } from "../../oci/runtime-spec.ts";
import type { SeccompFilter } from "../seccomp/compile.ts";
import { notifies } from "../seccomp/listener.ts";
import type { PlanBuilder } from "./builder.ts";
import { addExecutableCheck } from "./exec-lookup.ts";
import { addExecLabel } from "./labels.ts";
import { addMemoryPolicy } from "./memory-policy.ts";
import { addPersonality } from "./personality.ts";
import { addExecution } from "./execution.ts";
import { addIdentity } from "./identity.ts";
import { addRlimits } from "./limits.ts";
import {
  addCloseOnExec,
  addHiding,
  addReaper,
  addSignalDefaults,
  addStdioOwner,
  addVisibility,
  addWaitForStart,
} from "./process.ts";
import { addIoPriority, addScheduler } from "./scheduler.ts";
import { addCloseBeforeFilter, addWaitUnderFilter } from "./seccomp-listener.ts";
import { addTerminalAsStdio } from "./terminal.ts";

/** What the last part of a plan is made from. */
export interface ProgramInput {
  readonly process: Process;
  /** There is no program: the process only waits to be started, and never is. */
  readonly isIdle?: boolean;
  /** What is executed with `process.args`; absent: what the first of them names. */
  readonly file?: string | undefined;
  /** The working directory. */
  readonly directory: Slot;
  readonly seccomp: SeccompFilter | undefined;
  /** The number of the newest capability that the kernel knows. */
  readonly lastCapability: number;
  readonly diesWithParent: boolean;
  /** See `IdentityInput.lifeline`. */
  readonly lifeline?: number | undefined;
  /** Process 1 is a reaper, and the program its child. */
  readonly reaper: boolean;
  /** Others of the container's cannot look into the process before its program begins: see `addHiding`. */
  readonly hidden?: boolean;
  /** See `addVisibility`. */
  readonly isVisible?: boolean;
  /** See `deniesSetgroups`. */
  readonly setgroupsDenied?: boolean | undefined;
  /** See `addStdioOwner`. */
  readonly givenStdio?: readonly number[] | undefined;
  /** See `addWaitForStart`; absent: the program is executed at once. */
  readonly startFifo?: number | undefined;
  /** The reading end of a pipe, for a filter that notifies: see `addListenerHandover`. */
  readonly release?: number | undefined;
  readonly preservedDescriptors: number;
  readonly personality?: Linux["personality"];
  readonly memoryPolicy?: Linux["memoryPolicy"];
  /** For the labels of `process`: of `openHostProc`, and which modules there are. */
  readonly labels?: { readonly proc: Slot; readonly lsm: LsmSupport } | undefined;
}

/**
 * The end of every plan, whether it makes a container or joins one: from a process whose surroundings are complete to
 * `process.args`.
 */
export function addProgram(builder: PlanBuilder, input: ProgramInput): void {
  const { process, startFifo, release } = input;
  const isNotifying = notifies(input.seccomp) && release !== undefined;
  builder.about("process.scheduler", () => addScheduler(builder, process.scheduler));
  builder.about("process.ioPriority", () => addIoPriority(builder, process.ioPriority));
  builder.about("linux.personality", () => addPersonality(builder, input.personality));
  builder.about("linux.memoryPolicy", () => addMemoryPolicy(builder, input.memoryPolicy));
  addSignalDefaults(builder);
  builder.add({ label: "Begin a session", group: "process", syscall: "setsid", args: [] });
  if (process.terminal === true) addTerminalAsStdio(builder);
  builder.add({
    label: `Go to the working directory ${process.cwd}`,
    group: "process",
    syscall: "fchdir",
    args: [input.directory],
    path: process.cwd,
  });
  addCloseOnExec(builder, input.preservedDescriptors);
  // Before the user changes, who may not write it.
  if (input.labels !== undefined) addExecLabel(builder, { process, ...input.labels });
  // Before it has no more rights than others in there: until then only CAP_SYS_PTRACE is enough to look into it. A FIFO
  // that is opened by /proc would start the program, or take away what starts it.
  if (input.hidden === true) addHiding(builder);
  // After all that opens a file, which a low limit would forbid, and before the user changes, who may not raise any.
  builder.about("process.rlimits", () => addRlimits(builder, process.rlimits ?? []));
  addStdioOwner(builder, input.givenStdio ?? [], process.user.uid);
  addIdentity(builder, {
    process,
    setgroupsDenied: input.setgroupsDenied,
    seccomp: input.seccomp,
    lastCapability: input.lastCapability,
    diesWithParent: input.diesWithParent,
    lifeline: input.lifeline,
    release,
    ...(startFifo !== undefined && {
      beforeFilter: () => {
        if (input.isVisible === true) addVisibility(builder);
        if (input.isIdle !== true) addExecutableCheck(builder, process);
        if (isNotifying) addCloseBeforeFilter(builder, [startFifo, release], input.preservedDescriptors);
        else addWaitForStart(builder, startFifo, input.preservedDescriptors);
      },
    }),
  });
  if (startFifo !== undefined && isNotifying) addWaitUnderFilter(builder, startFifo, release);
  if (input.reaper) addReaper(builder, process.terminal === true);
  if (input.isIdle !== true) addExecution(builder, process, { file: input.file, isAlone: startFifo !== undefined });
}

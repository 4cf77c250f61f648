import { SIGKILL } from "../linux/constants.ts";
import { guardProcess } from "../linux/launch/guard.ts";
import { type ExitStatus, processEnded, reap, sendSignal } from "../linux/process.ts";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import type { Cgroup } from "../runtime/cgroup/cgroup.ts";
import { oomKills } from "../runtime/cgroup/oom-kills.ts";
import { launchContainer, planContainer } from "../runtime/container-process.ts";
import { launchError } from "../runtime/errors.ts";
import { type PlannedProcess, processOfPlan } from "../runtime/planned-process.ts";
import type { LaunchPlan } from "../runtime/plan/launch-plan.ts";
import type { RootFileSystem } from "../runtime/root.ts";
import { applyLimits } from "./apply-limits.ts";
import type { ClaimedContainer } from "./claim.ts";
import type { OpenedSurroundings } from "./joined-namespaces.ts";
import { hangUp } from "./hang-up.ts";
import { sharesProcesses } from "./namespaces.ts";
import { ProxiedSignals } from "./signal-proxy.ts";
import type { ContainerStdio } from "./stdio.ts";
import { confinedSources } from "./volume-place.ts";

/** What a supervisor brings together. All of it is the caller's, who disposes of it after the supervisor. */
export interface SupervisorOptions {
  readonly claim: ClaimedContainer;
  readonly spec: RuntimeSpec;
  /** See `storedVersion`. */
  readonly specVersion: string;
  readonly root: RootFileSystem;
  readonly cgroup: Cgroup;
  readonly stdio: ContainerStdio;
  /** Process 1 is gocker's reaper. */
  readonly reaper: boolean;
  /** What it has that was there before it, such as namespaces of other containers; absent: nothing. */
  readonly surroundings?: OpenedSurroundings | undefined;
  resolveTarget(path: string): string;
  /** Told of limits that are asked for and have no effect. */
  readonly warn?: ((message: string) => void) | undefined;
  /** Called when the program runs. */
  readonly onStarted?: (() => void) | undefined;
  /** Told of the plan once the program runs or the launch failed; makes the launch take the time of each step. */
  readonly onLaunched?: ((plan: LaunchPlan, times: readonly bigint[]) => void) | undefined;
}

/** How a container's first process ended, and whether any was killed for lack of memory. */
export type ContainerExit = ExitStatus & { readonly oomKilled: boolean };

/** Looks after one container from its launch to its end. */
export class Supervisor {
  readonly #options: SupervisorOptions;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** The plan that {@link run} would carry out. Joining a cgroup takes one, so it is made for as long as this takes. */
  plan(): LaunchPlan {
    const { cgroup } = this.#options;
    cgroup.create();
    try {
      return planContainer(this.#processOptions());
    } finally {
      cgroup.remove();
    }
  }

  /**
   * Starts the container, passes signals and the terminal on, and waits for its end. Its processes are all gone then,
   * and its cgroup; the record tells how it ended.
   * @throws ExecutionError the program cannot be executed; CgroupError a limit cannot be had; GockerError the launch failed
   */
  async run(): Promise<ContainerExit> {
    const { claim, cgroup, spec, specVersion, stdio, onStarted, onLaunched, warn } = this.#options;
    cgroup.create();
    using cleanup = new DisposableStack();
    cleanup.defer(() => cgroup.remove());
    await applyLimits(cgroup, { id: claim.id, directory: claim.directory, spec, specVersion }, warn);
    const plan = planContainer(this.#processOptions());
    await this.#options.surroundings?.complete?.();
    using launched = launchContainer(plan, this.#processOptions(), { timed: onLaunched !== undefined });
    const child = plan.tellsChild ? await launched.status.childTold() : undefined;
    using process = processOfPlan(launched, child);
    // From here on a failure must not leave the process behind; the pidfd makes sure that no other one is meant.
    using _kill = cleanupOf(process);
    const isShared = sharesProcesses(spec.linux?.namespaces);
    using _guard = guardProcess(process.pidfd, isShared ? cgroup.cloneInto : undefined);
    await stdio.attach();
    using leaving = new DisposableStack();
    const end = () => void (leaving.disposed || leaving.use(hangUp(process.pidfd)));
    void stdio.hungUp?.().then(end);
    // What comes before the program would be lost: process 1 does not notice signals that it has no handlers for. Who
    // insists ends it all the same, as there is nobody else who looks after it.
    using signals = new ProxiedSignals({
      onImpatience: () => void sendSignal(process.pidfd, SIGKILL),
      onHangUp: end,
    });
    claim.markRunning(process.pid);
    const outcome = await launched.status.outcome();
    const error = launchError(outcome, spec.process?.args?.[0] ?? "");
    if (error === undefined) onStarted?.();
    signals.passTo(process.pidfd);
    if (outcome.times !== undefined) onLaunched?.(plan, outcome.times);
    await processEnded(process.pidfd);
    // Those of a pid namespace end with its first process; others may go on, and hold its outputs.
    if (isShared) cgroup.kill();
    const status = reap(process.pid);
    await stdio.drain();
    if (error !== undefined) {
      claim.forgetStart();
      throw error;
    }
    return { ...status, oomKilled: oomKills(cgroup) > 0 };
  }

  #processOptions() {
    const { claim, spec, root, cgroup, stdio, reaper, surroundings } = this.#options;
    return {
      id: claim.id,
      spec,
      root,
      cgroup,
      reaper,
      openedNamespaces: surroundings?.openedNamespaces,
      prepared: surroundings?.prepared,
      diesWithParent: true,
      terminalSocket: stdio.terminalSocket,
      stdio: stdio.descriptors,
      resolveTarget: (path: string) => this.#options.resolveTarget(path),
      confined: confinedSources(claim.directory),
    };
  }
}

/** Kills and reaps the process, unless it has been reaped. */
function cleanupOf(process: PlannedProcess): Disposable {
  return {
    [Symbol.dispose]() {
      if (sendSignal(process.pidfd, SIGKILL)) reap(process.pid);
    },
  };
}

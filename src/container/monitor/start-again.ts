import { launchContainer, planContainer } from "../../runtime/container-process.ts";
import type { Cgroup } from "../../runtime/cgroup/cgroup.ts";
import { launchError } from "../../runtime/errors.ts";
import { processOfPlan } from "../../runtime/planned-process.ts";
import { SIGKILL } from "../../linux/constants.ts";
import { reap, sendSignal } from "../../linux/process.ts";
import { applyLimits } from "../apply-limits.ts";
import type { ClaimedContainer } from "../claim.ts";
import type { OpenedSurroundings } from "../joined-namespaces.ts";
import type { OpenContainer } from "../open.ts";
import { confinedSources } from "../volume-place.ts";
import type { MonitorDescriptors } from "./state.ts";
import { openOomEventsOf } from "./oom-events.ts";
import { openMonitoredStdio } from "./stdio.ts";

/**
 * Starts a container from its monitor, whose child it is then. Returns when its program runs.
 * @param options.wasStopped whether the user has asked for the container's end meanwhile: it is killed then
 * @returns the descriptors of its process, its outputs and its input
 * @throws as `startMonitored`
 */
export async function startAgain(
  claim: ClaimedContainer,
  { spec, specVersion, rootFileSystem, resolveTarget }: OpenContainer,
  {
    cgroup,
    surroundings,
    wasStopped,
  }: {
    readonly cgroup: Cgroup;
    readonly surroundings: OpenedSurroundings | undefined;
    readonly wasStopped: () => boolean;
  },
): Promise<Partial<MonitorDescriptors>> {
  using cleanup = new DisposableStack();
  using undo = new DisposableStack();
  cgroup.create();
  undo.defer(() => cgroup.remove());
  await applyLimits(cgroup, { id: claim.id, directory: claim.directory, spec, specVersion });
  const oom = await openOomEventsOf(cgroup, spec);
  if (oom !== undefined) undo.use(oom);
  const stdio = cleanup.use(openMonitoredStdio(claim.record, spec.process?.user.uid ?? 0));
  const options = {
    id: claim.id,
    spec,
    root: rootFileSystem,
    cgroup,
    reaper: claim.record.init === true,
    openedNamespaces: surroundings?.openedNamespaces,
    prepared: surroundings?.prepared,
    diesWithParent: true,
    stdio: stdio.ofContainer,
    terminalSocket: stdio.terminalSocket,
    resolveTarget,
    confined: confinedSources(claim.directory),
  };
  const plan = planContainer(options);
  await surroundings?.complete?.();
  const launched = cleanup.use(launchContainer(plan, options, { timed: false }));
  const child = plan.tellsChild ? await launched.status.childTold() : undefined;
  const process = cleanup.use(processOfPlan(launched, child));
  const kill = undo.adopt(process, ({ pidfd, pid }) => {
    if (sendSignal(pidfd, SIGKILL)) reap(pid);
  });
  stdio.closeContainersEnds();
  claim.markRunning(process.pid);
  const error = launchError(await launched.status.outcome(), spec.process?.args?.[0] ?? "");
  if (error !== undefined) throw error;
  // Who stops a container notes that and looks for its process then: either that one has seen this process on record, or
  // its note is there by now.
  if (wasStopped()) sendSignal(process.pidfd, SIGKILL);
  undo.move();
  const oomEvents = oom === undefined ? {} : { oom: oom.release() };
  return { ...stdio.release(), ...oomEvents, ...surroundings?.sockets?.release(), process: kill.pidfd.release() };
}

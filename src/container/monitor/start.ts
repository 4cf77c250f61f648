import { SIGKILL } from "../../linux/constants.ts";
import { errnos } from "../../linux/errno.ts";
import { createPipe, openNull, type OwnedFd, writeAll } from "../../linux/fd.ts";
import { launch, type LaunchedProcess } from "../../linux/launch/launch.ts";
import { reap, sendSignal } from "../../linux/process.ts";
import { openProgram } from "../../linux/program.ts";
import type { RuntimeSpec } from "../../oci/runtime-spec.ts";
import type { Cgroup } from "../../runtime/cgroup/cgroup.ts";
import { launchError } from "../../runtime/errors.ts";
import type { RootFileSystem } from "../../runtime/root.ts";
import { GockerError, SystemCallError } from "../../util/errors.ts";
import { applyLimits } from "../apply-limits.ts";
import type { ClaimedContainer } from "../claim.ts";
import { probeOf } from "../healthcheck.ts";
import type { OpenedSurroundings } from "../joined-namespaces.ts";
import { confinedSources } from "../volume-place.ts";
import { planMonitored } from "./launch.ts";
import type { Greeting } from "./protocol.ts";
import { connectToMonitor, listenAsMonitor, removeMonitorSocket } from "./socket.ts";
import { openOomEventsOf } from "./oom-events.ts";
import { openMonitoredStdio } from "./stdio.ts";

/** A container that is to run with a monitor. */
export interface MonitoredContainer {
  readonly claim: ClaimedContainer;
  readonly spec: RuntimeSpec;
  /** See `storedVersion`. */
  readonly specVersion: string;
  readonly root: RootFileSystem;
  readonly cgroup: Cgroup;
  /** Process 1 is gocker's reaper. */
  readonly reaper: boolean;
  /** What it has that was there before it, such as namespaces of other containers; absent: nothing. */
  readonly surroundings?: OpenedSurroundings | undefined;
  resolveTarget(path: string): string;
  /** gocker's root and state directories. */
  readonly directories: { readonly root: string; readonly state: string };
  /** Who wants to be connected from the beginning: nothing that the container writes is missed. */
  readonly greeting?: Greeting | undefined;
}

/**
 * Starts a container that goes on without gocker: see {@link planMonitored}. Returns when its program runs; the
 * container's lock is the monitor's as well by then, and the record says that it runs.
 * @returns the connection of `greeting`
 * @throws ExecutionError the program cannot be executed; GockerError the launch failed: no process is left then
 */
export async function startMonitored(container: MonitoredContainer): Promise<OwnedFd | undefined> {
  const { claim, spec, specVersion, cgroup, directories, greeting } = container;
  using cleanup = new DisposableStack();
  using undo = new DisposableStack();
  cgroup.create();
  undo.defer(() => cgroup.remove());
  await applyLimits(cgroup, { id: claim.id, directory: claim.directory, spec, specVersion });
  const listener = cleanup.use(listenAsMonitor(directories.state, claim.id));
  undo.defer(() => removeMonitorSocket(directories.state, claim.id));
  const connection = greeting === undefined ? undefined : connectToMonitor(directories.state, claim.id, greeting);
  if (connection !== undefined) undo.use(connection);

  const oom = await openOomEventsOf(cgroup, spec);
  if (oom !== undefined) cleanup.use(oom);
  const stdio = cleanup.use(openMonitoredStdio(claim.record, spec.process?.user.uid ?? 0));
  const commitment = cleanup.use(createPipe());
  const lifeline = cleanup.use(createPipe());
  const planned = planMonitored({
    commitment: commitment.reader.number,
    lifeline: { reader: lifeline.reader.number, writer: lifeline.writer.number },
    // Its health has to be looked at after a while.
    isAwake: probeOf(claim.record.healthcheck) !== undefined,
    container: {
      id: claim.id,
      spec,
      root: container.root,
      cgroup,
      reaper: container.reaper,
      openedNamespaces: container.surroundings?.openedNamespaces,
      prepared: container.surroundings?.prepared,
      diesWithParent: true,
      stdio: stdio.ofContainer,
      terminalSocket: stdio.terminalSocket,
      resolveTarget: (path) => container.resolveTarget(path),
      confined: confinedSources(claim.directory),
    },
    monitor: {
      id: claim.id,
      ...directories,
      inputOnce: greeting?.input === true,
      restarts: 0,
      descriptors: {
        ...stdio.ofMonitor,
        ...(oom !== undefined && { oom: oom.number }),
        ...container.surroundings?.sockets?.numbers,
        lock: claim.lockDescriptor,
        program: cleanup.use(openProgram()).number,
        listener: listener.number,
        process: cleanup.use(openNull()).number,
      },
    },
  });
  await container.surroundings?.complete?.();
  const monitor = cleanup.use(launch(planned));
  undo.defer(() => end(monitor));
  commitment.reader.close();
  lifeline[Symbol.dispose]();
  stdio[Symbol.dispose]();

  const pid = await monitor.status.childTold();
  if (pid !== undefined) claim.markRunning(pid);
  const outcome = await monitor.status.outcome();
  const error = launchError(outcome, spec.process?.args?.[0] ?? "");
  if (error !== undefined) {
    claim.forgetStart();
    throw error;
  }
  if (pid === undefined) throw new GockerError("LAUNCH", "the container's monitor has ended before it did anything");
  commit(commitment.writer);
  undo.move();
  return connection;
}

/** @throws GockerError the monitor has ended meanwhile, and the container with it */
function commit(writer: OwnedFd): void {
  try {
    writeAll(writer.number, new Uint8Array(1));
  } catch (cause) {
    if (!(cause instanceof SystemCallError) || cause.errno !== errnos.EPIPE) throw cause;
    throw new GockerError("LAUNCH", "the container's monitor has ended, and the container with it", { cause });
  }
}

/** The monitor has begun as gocker's child, and the container dies with it. */
function end(monitor: LaunchedProcess): void {
  sendSignal(monitor.pidfd, SIGKILL);
  reap(monitor.pid);
}

import { cgroupPathIn } from "../container/cgroup-path.ts";
import { containerEvent } from "../container/events.ts";
import type { ClaimedContainer } from "../container/claim.ts";
import type { Greeting } from "../container/monitor/protocol.ts";
import { startMonitored } from "../container/monitor/start.ts";
import { hasMonitor } from "../container/monitor/presence.ts";
import { connectToMonitor } from "../container/monitor/socket.ts";
import { standsStill } from "../container/not-running.ts";
import { makeMountable } from "../container/overlay-root.ts";
import { isPaused } from "../container/paused.ts";
import { volumesOf } from "../container/recorded-mounts.ts";
import type { ContainerStore } from "../container/records.ts";
import { VolumeStore } from "../container/volumes.ts";
import type { OwnedFd } from "../linux/fd.ts";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import { openCgroup } from "../runtime/cgroup/open.ts";
import { ExecutionError } from "../runtime/errors.ts";
import type { RootFileSystem } from "../runtime/root.ts";
import { ConflictError, errorMessage } from "../util/errors.ts";
import type { AttachOptions } from "./attach.ts";
import type { EngineContext } from "./context.ts";
import { killLeftovers, openContainers } from "./reconcile.ts";
import { recordEvent, recordMounts, recordUnmounts } from "./record-event.ts";
import type { StopOptions } from "./stop.ts";
import { leaveNetworks, openSurroundings } from "./surroundings.ts";
import { unreachable } from "./unreachable.ts";

/** What containers are started with. */
export type StartContext = Pick<EngineContext, "root" | "state" | "debug" | "warn">;

/** A container to start, with what was looked up for that. */
export interface StartableContainer {
  readonly claim: ClaimedContainer;
  readonly spec: RuntimeSpec;
  /** See `storedVersion`. */
  readonly specVersion: string;
  readonly rootFileSystem: RootFileSystem;
  resolveTarget(this: void, path: string): string;
}

/**
 * Starts a container that goes on by itself, and returns when its program runs. The claim is its monitor's as well then,
 * and of no more use.
 * @param greeting to be connected from the beginning
 * @returns the connection of `greeting`
 * @throws ExecutionError, GockerError: it does not run, which its record tells
 */
export async function startClaimed(
  context: StartContext,
  containers: ContainerStore,
  container: StartableContainer,
  greeting?: Greeting,
): Promise<OwnedFd | undefined> {
  const { claim, spec, specVersion, rootFileSystem } = container;
  containers.clearMarks(claim.id);
  // As with docker, before it is started, so that nothing is missed.
  if (greeting?.output === true) recordEvent(context, containerEvent(claim.record, "attach"));
  using cgroup = openCgroup(cgroupPathIn(claim.id, spec));
  const volumes = VolumeStore.open(context.root);
  const names = volumesOf(claim.record.mounts);
  try {
    await volumes.mount(names, claim.id);
    recordMounts(context, claim.record);
    await using surroundings = await openSurroundings({
      context,
      containers,
      record: claim.record,
      spec,
      warn: (message) => context.warn?.(message),
    });
    const connection = await startMonitored({
      claim,
      spec,
      specVersion,
      root: rootFileSystem,
      cgroup,
      reaper: claim.record.init === true,
      surroundings,
      resolveTarget: container.resolveTarget,
      directories: { root: context.root, state: context.state },
      greeting,
    });
    recordEvent(context, containerEvent(claim.record, "start"));
    return connection;
  } catch (error) {
    const exitCode = error instanceof ExecutionError ? error.exitCode : 125;
    await using cleanup = new AsyncDisposableStack();
    cleanup.defer(() => claim.markExited({ exitCode, error: errorMessage(error) }));
    cleanup.defer(() => volumes.unmount(names, claim.id));
    cleanup.defer(() => leaveNetworks(context, claim.id));
    recordUnmounts(context, claim.record);
    throw error;
  }
}

/**
 * `gocker start`: starts a container that was made before. One that runs is left as it is.
 * @param reference its name, ID, or the beginning of its ID
 * @throws NotRunningError it is paused; NotFoundError, UsageError as `ContainerStore.resolve`; ConflictError another gocker works on it;
 *   as {@link startClaimed}
 */
export async function startContainer(context: EngineContext, reference: string): Promise<void> {
  const { containers } = await openContainers(context);
  await startStored(context, containers, containers.resolve(reference));
}

/**
 * `gocker start --attach`: as {@link startContainer}, and shows the container until it ends or is left.
 * @returns as `showContainer`
 * @throws as {@link startContainer} and `showContainer`
 */
export async function startAttached(
  context: EngineContext,
  reference: string,
  options: AttachOptions,
): Promise<number> {
  const { containers } = await openContainers(context);
  const id = containers.resolve(reference);
  const record = containers.read(id);
  const { greetingOf, optionsFor, showContainer, attachToContainer } = await import("./attach.ts");
  const connect = () => startStored(context, containers, id, greetingOf(record, options));
  const exitCode = await showContainer(context, containers, record, connect, optionsFor(record, options));
  return exitCode ?? (await attachToContainer(context, reference, options));
}

/** `gocker restart`: as `stop` and {@link startContainer}, also with `--rm`. @throws as those */
export async function restartContainer(context: EngineContext, reference: string, options: StopOptions): Promise<void> {
  const { containers } = await openContainers(context);
  const id = containers.resolve(reference);
  const { remove, state } = containers.read(id);
  if (remove && state.status === "running") keep(context, containers, id, reference);
  const { stop } = await import("./stop.ts");
  await stop(context, containers, id, options);
  if (remove) makeMountable(containers.directory(id));
  await startStored(context, containers, id);
  recordEvent(context, containerEvent(containers.read(id), "restart"));
}

/** That it was run with `--rm` must not remove it between its end and its next start. @throws ConflictError it has no monitor */
function keep({ state }: EngineContext, containers: ContainerStore, id: string, reference: string): void {
  using monitor = connectToMonitor(state, id, { output: false, input: false });
  const record = containers.read(id);
  if (monitor === undefined && !hasMonitor(record.state)) throw unreachable("restart", { reference, record, state });
  containers.markKept(id);
}

/** @returns the connection of `greeting`; undefined without one, and when the container ran before */
export async function startStored(
  context: StartContext,
  containers: ContainerStore,
  id: string,
  greeting?: Greeting,
): Promise<OwnedFd | undefined> {
  using claim = await claimAtRest(containers, id);
  if (claim === undefined) return undefined;
  await killLeftovers(context, id, claim.directory);
  const { openStored } = await import("./open-container.ts");
  using opened = openStored(context.root, claim);
  return await startClaimed(context, containers, { ...opened, claim }, greeting);
}

/** Milliseconds that another gocker has to be done with a container that does not run. */
const patience = 10_000;

/** @returns undefined when the container runs. @throws NotRunningError it is paused; ConflictError */
async function claimAtRest(containers: ContainerStore, id: string): Promise<ClaimedContainer | undefined> {
  const deadline = Date.now() + patience;
  for (;;) {
    const claim = containers.claim(id);
    if (claim !== undefined) return claim;
    const record = containers.read(id);
    const { status } = record.state;
    if (status === "running" && isPaused(id, containers.directory(id))) throw standsStill(record.name);
    if (status === "running" || status === "restarting") return undefined;
    if (Date.now() > deadline) throw new ConflictError(`container ${record.name} is being worked on by another gocker`);
    await Bun.sleep(5);
  }
}

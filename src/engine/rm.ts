import { existsSync } from "node:fs";
import type { ClaimedContainer } from "../container/claim.ts";
import { containerEvent, deadEvent } from "../container/events.ts";
import { openFirstProcess } from "../container/first-process.ts";
import type { ContainerRecord } from "../container/record.ts";
import { volumesOf } from "../container/recorded-mounts.ts";
import type { ContainerStore } from "../container/records.ts";
import { removeContainer as remove } from "../container/remove.ts";
import { SIGKILL } from "../linux/constants.ts";
import { sendSignal } from "../linux/process.ts";
import { ConflictError, InvalidDocumentError, NotFoundError } from "../util/errors.ts";
import { shortId } from "../util/ids.ts";
import type { EngineContext } from "./context.ts";
import { killLeftovers, openContainers } from "./reconcile.ts";
import { recordEvent, recordSignal } from "./record-event.ts";
import { tellMonitor, untilClosed } from "./stop.ts";

export interface RemoveContainerOptions {
  /** Kill it first when it runs. */
  readonly force: boolean;
  /** Also remove the volumes that were made for it. */
  readonly volumes: boolean;
}

/** How long to wait for another process to be done with a container that is not known to run; in milliseconds. */
const shortWait = 1_000;
/** How long a killed container's own gocker may take to clean up, before it is killed too; in milliseconds. */
const longestWait = 10_000;
/** The longest pause between two looks whether the container is free; in milliseconds. */
const pause = 20;

/**
 * Removes a container, also one whose record is damaged.
 * @param reference its name, ID, or the beginning of its ID
 * @returns its ID
 * @throws NotFoundError there is none; UsageError the reference fits several; ConflictError it runs and `force` is not
 *   set, or it does not end
 */
export async function removeContainer(
  context: Pick<EngineContext, "root" | "state" | "debug">,
  reference: string,
  options: RemoveContainerOptions,
): Promise<string> {
  const stores = await openContainers(context);
  const { containers } = stores;
  const id = containers.resolve(reference);
  using claim = options.force
    ? await claimByForce(context, containers, id)
    : await claimAtRest(containers, id, reference);
  if (claim !== undefined) {
    await killLeftovers(context, id, claim.directory);
    const record = claim.hasRecord ? claim.record : undefined;
    // Known by the names alone, and no more when it is removed.
    const name = record?.name ?? containers.nameOf(id) ?? "";
    if (record !== undefined) await stores.volumes.unmount(volumesOf(record.mounts), id);
    await remove(stores, claim, { anonymousVolumes: options.volumes });
    recordEvent(context, record === undefined ? deadEvent({ id, name }) : containerEvent(record, "destroy"));
  }
  return id;
}

/** A container at rest may be held for a moment, by a gocker that looks whether it is a leftover. */
async function claimAtRest(containers: ContainerStore, id: string, reference: string): Promise<ClaimedContainer> {
  const isRunning = recordOf(containers, id)?.state.status === "running";
  const claim = await tryClaim(containers, id, isRunning ? 0 : shortWait);
  if (claim !== undefined) return claim;
  throw new ConflictError(`cannot remove container ${reference}: it is running`, {
    hint: `end it first, or use force: gocker rm -f ${reference}`,
  });
}

/** Undefined when it is damaged, or a newer gocker's. @throws NotFoundError */
function recordOf(containers: ContainerStore, id: string): ContainerRecord | undefined {
  try {
    return containers.read(id);
  } catch (error) {
    if (error instanceof InvalidDocumentError) return undefined;
    throw error;
  }
}

/** @returns undefined when the container's own gocker removed it, as `--rm` wants */
async function claimByForce(
  context: Pick<EngineContext, "state" | "debug">,
  containers: ContainerStore,
  id: string,
): Promise<ClaimedContainer | undefined> {
  try {
    containers.markStopped(id);
    using monitor = tellMonitor(context.state, id);
    const deadline = performance.now() + longestWait;
    do {
      // Looked at anew each time: a container that is just being started has no process yet.
      await killFirst(context, containers, id);
      if (monitor !== undefined) await untilClosed(monitor, deadline - performance.now());
      const claim = await tryClaim(containers, id, shortWait);
      if (claim !== undefined) return claim;
    } while (performance.now() < deadline);
    // Whoever looks after it hangs. The container dies with that one, at the latest.
    const { killHolders } = await import("../linux/lock-holders.ts");
    killHolders(containers.lockPath(id));
    const claim = await tryClaim(containers, id, longestWait);
    if (claim !== undefined) return claim;
  } catch (error) {
    if (error instanceof NotFoundError && !existsSync(containers.directory(id))) return undefined;
    throw error;
  }
  throw new ConflictError(`cannot remove container ${shortId(id)}: it does not end`, {
    hint: "a process may hang in the kernel, or another gocker may still be working on it",
  });
}

/**
 * Kills a container's first process, with which the others of its pid namespace end. Of one whose record does not tell it,
 * all that are in its cgroup.
 */
async function killFirst(
  context: Pick<EngineContext, "state" | "debug">,
  containers: ContainerStore,
  id: string,
): Promise<void> {
  const record = recordOf(containers, id);
  if (record !== undefined) {
    using process = openFirstProcess(record.state);
    if (process !== undefined && sendSignal(process, SIGKILL)) recordSignal(context, record, SIGKILL);
    return;
  }
  const [{ openCgroup }, { cgroupPathOf }] = await Promise.all([
    import("../runtime/cgroup/open.ts"),
    import("../container/stored-spec.ts"),
  ]);
  using cgroup = openCgroup(cgroupPathOf(id, containers.directory(id)));
  cgroup.kill();
}

/** @returns undefined when somebody else has it all the time. @throws NotFoundError nothing is left of the container */
async function tryClaim(
  containers: ContainerStore,
  id: string,
  milliseconds: number,
): Promise<ClaimedContainer | undefined> {
  const deadline = performance.now() + milliseconds;
  for (;;) {
    const claim = containers.claimForRemoval(id);
    if (claim !== undefined || performance.now() >= deadline) return claim;
    await Bun.sleep(pause);
  }
}

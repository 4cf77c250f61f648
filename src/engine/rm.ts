import type { ClaimedContainer } from "../container/claim.ts";
import { containerEvent } from "../container/events.ts";
import { openFirstProcess } from "../container/first-process.ts";
import { volumesOf } from "../container/recorded-mounts.ts";
import type { ContainerStore } from "../container/records.ts";
import { removeContainer as remove } from "../container/remove.ts";
import { SIGKILL } from "../linux/constants.ts";
import { sendSignal } from "../linux/process.ts";
import { ConflictError, NotFoundError } from "../util/errors.ts";
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
/** How long a killed container's own gocker may take to clean up; in milliseconds. */
const longestWait = 10_000;

/**
 * Removes a container.
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
    const { record } = claim;
    await killLeftovers(context, id, claim.directory);
    await stores.volumes.unmount(volumesOf(record.mounts), id);
    await remove(stores, claim, { anonymousVolumes: options.volumes });
    recordEvent(context, containerEvent(record, "destroy"));
  }
  return id;
}

/** A container at rest may be held for a moment, by a gocker that looks whether it is a leftover. */
async function claimAtRest(containers: ContainerStore, id: string, reference: string): Promise<ClaimedContainer> {
  const claim = await tryClaim(containers, id, containers.read(id).state.status === "running" ? 0 : shortWait);
  if (claim !== undefined) return claim;
  throw new ConflictError(`cannot remove container ${reference}: it is running`, {
    hint: `end it first, or use force: gocker rm -f ${reference}`,
  });
}

/** @returns undefined when the container's own gocker removed it, as `--rm` wants */
async function claimByForce(
  context: Pick<EngineContext, "state" | "debug">,
  containers: ContainerStore,
  id: string,
): Promise<ClaimedContainer | undefined> {
  const deadline = Date.now() + longestWait;
  try {
    containers.markStopped(id);
    using monitor = tellMonitor(context.state, id);
    do {
      // Looked at anew each time: a container that is just being started has no process yet. The other processes of the
      // container end with the first one of its pid namespace.
      const record = containers.read(id);
      using process = openFirstProcess(record.state);
      if (process !== undefined && sendSignal(process, SIGKILL)) recordSignal(context, record, SIGKILL);
      if (monitor !== undefined) await untilClosed(monitor);
      const claim = await tryClaim(containers, id, shortWait);
      if (claim !== undefined) return claim;
    } while (Date.now() < deadline);
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
  throw new ConflictError(`cannot remove container ${id.slice(0, 12)}: it does not end`, {
    hint: "a process may hang in the kernel, or another gocker may still be working on it",
  });
}

async function tryClaim(
  containers: ContainerStore,
  id: string,
  milliseconds: number,
): Promise<ClaimedContainer | undefined> {
  if (milliseconds === 0) return containers.claim(id);
  const signal = AbortSignal.timeout(milliseconds);
  try {
    return await containers.waitForClaim(id, signal);
  } catch (error) {
    if (signal.aborted && error === signal.reason) return undefined;
    throw error;
  }
}

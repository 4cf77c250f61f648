import type { ContainerRecord } from "../container/record.ts";
import type { ContainerStore } from "../container/records.ts";
import { containerEvent } from "../container/events.ts";
import { removeContainer } from "../container/remove.ts";
import { NotFoundError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";
import { openContainers } from "./reconcile.ts";
import { recordEvent } from "./record-event.ts";

/** What {@link pruneContainers} removed. */
export interface PrunedContainers {
  readonly ids: readonly string[];
  /** The size of what they had written; in bytes. */
  readonly reclaimed: number;
}

/**
 * Removes the containers that do not run. Those that another gocker works on are left alone; their volumes stay.
 * @param isWanted which of them
 * @throws SystemCallError something cannot be removed: the containers before are gone
 */
export async function pruneContainers(
  context: Pick<EngineContext, "root" | "state" | "debug">,
  isWanted: (record: ContainerRecord) => boolean,
): Promise<PrunedContainers> {
  const stores = await openContainers(context);
  const { containers } = stores;
  const { diskUsage } = await import("../linux/disk-usage.ts");
  const ids: string[] = [];
  let reclaimed = 0;
  for (const { id } of containers.list().filter((record) => isAtRest(record) && isWanted(record))) {
    using claim = claimIfThere(containers, id);
    // Started since.
    if (claim === undefined || !isAtRest(claim.record)) continue;
    const { record, directory } = claim;
    const size = diskUsage(`${directory}/upper`);
    await removeContainer(stores, claim, { anonymousVolumes: false });
    recordEvent(context, containerEvent(record, "destroy"));
    ids.push(id);
    reclaimed += size;
  }
  recordEvent(context, { type: "container", action: "prune", id: "", attributes: { reclaimed: String(reclaimed) } });
  return { ids, reclaimed };
}

function isAtRest({ state }: ContainerRecord): boolean {
  return state.status === "created" || state.status === "exited";
}

function claimIfThere(containers: ContainerStore, id: string): ReturnType<ContainerStore["claim"]> {
  try {
    return containers.claim(id);
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

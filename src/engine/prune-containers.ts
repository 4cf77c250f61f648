import type { ClaimedContainer } from "../container/claim.ts";
import { deadContainers } from "../container/dead.ts";
import type { ContainerRecord } from "../container/record.ts";
import type { ContainerStore } from "../container/records.ts";
import { containerEvent, deadEvent } from "../container/events.ts";
import { removeContainer } from "../container/remove.ts";
import { NotFoundError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";
import { killLeftovers, openContainers } from "./reconcile.ts";
import { recordEvent } from "./record-event.ts";

/** What {@link pruneContainers} removed. */
export interface PrunedContainers {
  readonly ids: readonly string[];
  /** The size of what they had written; in bytes. */
  readonly reclaimed: number;
}

/** What says whether a container is wanted: all that is known of one whose record is damaged. */
export type PrunableContainer = Pick<ContainerRecord, "id" | "name" | "created" | "labels">;

/**
 * Removes the containers that do not run, also those whose record is damaged. Those that another gocker works on are left
 * alone; their volumes stay.
 * @param isWanted which of them
 * @throws SystemCallError something cannot be removed: the containers before are gone
 */
export async function pruneContainers(
  context: Pick<EngineContext, "root" | "state" | "debug">,
  isWanted: (container: PrunableContainer) => boolean,
): Promise<PrunedContainers> {
  const stores = await openContainers(context);
  const { containers } = stores;
  const { diskUsage } = await import("../linux/disk-usage.ts");
  const broken = new Map<string, unknown>();
  const records = containers.list((id, error) => void broken.set(id, error)).filter(isAtRest);
  const dead = deadContainers(containers, broken);
  const ids: string[] = [];
  let reclaimed = 0;
  for (const one of [...records, ...dead].filter(isWanted)) {
    using claim = claimIfThere(containers, one.id);
    // Started since, or put in order.
    if (claim === undefined || (claim.hasRecord ? !isAtRest(claim.record) : !dead.includes(one))) continue;
    const size = diskUsage(`${claim.directory}/upper`);
    const event = claim.hasRecord ? containerEvent(claim.record, "destroy") : deadEvent(one);
    if (!claim.hasRecord) await killLeftovers(context, one.id, claim.directory);
    await removeContainer(stores, claim, { anonymousVolumes: false });
    recordEvent(context, event);
    ids.push(one.id);
    reclaimed += size;
  }
  recordEvent(context, { type: "container", action: "prune", id: "", attributes: { reclaimed: String(reclaimed) } });
  return { ids, reclaimed };
}

function isAtRest({ state }: ContainerRecord): boolean {
  return state.status === "created" || state.status === "exited";
}

function claimIfThere(containers: ContainerStore, id: string): ClaimedContainer | undefined {
  try {
    return containers.claimForRemoval(id);
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

import { notRunning } from "../container/not-running.ts";
import { RecordedContainer } from "../container/recorded-container.ts";
import type { ContainerRecord } from "../container/record.ts";
import type { EngineContext } from "./context.ts";
import { type ContainerStores, openContainers } from "./reconcile.ts";

/** A container, and where it is kept. */
export interface FoundContainer {
  readonly stores: ContainerStores;
  /** As it was just now. */
  readonly record: ContainerRecord;
  readonly container: RecordedContainer;
}

/**
 * The container that a user means.
 * @param reference its name, ID, or the beginning of its ID
 * @throws NotFoundError there is none; UsageError the reference fits several
 */
export async function findContainer(
  context: Pick<EngineContext, "root" | "state">,
  reference: string,
): Promise<FoundContainer> {
  const stores = await openContainers(context);
  const { containers } = stores;
  const record = containers.read(containers.resolve(reference));
  return { stores, record, container: new RecordedContainer(record, containers.directory(record.id)) };
}

/** @throws as {@link findContainer}; NotRunningError */
export async function findRunningContainer(
  context: Pick<EngineContext, "root" | "state">,
  reference: string,
): Promise<FoundContainer & { readonly isPaused: boolean }> {
  const found = await findContainer(context, reference);
  const status = found.container.status();
  if (status === "stopped") throw notRunning(reference);
  return { ...found, isPaused: status === "paused" };
}

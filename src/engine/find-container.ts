import type { ContainerRecord } from "../container/record.ts";
import { ContainerStore } from "../container/records.ts";
import type { EngineContext } from "./context.ts";

/**
 * The record of a container, as it is on the disk.
 * @param reference its name, ID, or the beginning of its ID
 * @throws NotFoundError there is none; UsageError more than one
 */
export function findContainer(context: Pick<EngineContext, "root">, reference: string): ContainerRecord {
  const containers = ContainerStore.open(context.root);
  return containers.read(containers.resolve(reference));
}

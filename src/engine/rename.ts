import { containerEvent } from "../container/events.ts";
import type { EngineContext } from "./context.ts";
import { findContainer } from "./find-container.ts";
import { recordEvent } from "./record-event.ts";
import { EndpointStore } from "../network/endpoints.ts";

/**
 * Gives a container another name, whether or not it runs.
 * @param reference its name, ID, or the beginning of its ID
 * @throws NotFoundError; UsageError, also for what is no name; ConflictError the name is in use
 */
export async function renameContainer(
  context: Pick<EngineContext, "root" | "state" | "debug">,
  reference: string,
  name: string,
): Promise<void> {
  const { stores, record } = await findContainer(context, reference);
  const renamed = await stores.containers.rename(record.id, name);
  renameEndpoint(context, record.id, name);
  recordEvent(context, containerEvent(renamed.record, "rename", { oldName: `/${renamed.oldName}` }));
}

/** Others in its networks find it by the new name from now on. */
function renameEndpoint({ state }: Pick<EngineContext, "state">, id: string, name: string): void {
  const endpoints = new EndpointStore(state);
  const endpoint = endpoints.read(id);
  if (endpoint !== undefined) endpoints.write({ ...endpoint, name });
}

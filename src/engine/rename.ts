import { containerEvent } from "../container/events.ts";
import type { EngineContext } from "./context.ts";
import { findContainer } from "./find-container.ts";
import { recordEvent } from "./record-event.ts";

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
  recordEvent(context, containerEvent(renamed.record, "rename", { oldName: `/${renamed.oldName}` }));
}

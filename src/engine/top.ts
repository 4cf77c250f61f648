import { containerEvent } from "../container/events.ts";
import { listProcesses, type ProcessList } from "../runtime/ps.ts";
import type { EngineContext } from "./context.ts";
import { findRunningContainer } from "./find-container.ts";
import { recordEvent } from "./record-event.ts";

/**
 * The processes that a container has now, those of `exec` too.
 * @param reference its name, ID, or the beginning of its ID
 * @throws NotFoundError, UsageError; ConflictError it does not run
 */
export async function topContainer(
  context: Pick<EngineContext, "root" | "state" | "debug">,
  reference: string,
): Promise<ProcessList> {
  const { container, record } = await findRunningContainer(context, reference);
  using cgroup = container.cgroup();
  const processes = listProcesses(cgroup);
  recordEvent(context, containerEvent(record, "top"));
  return processes;
}

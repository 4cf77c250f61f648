import { listProcesses, type ProcessList } from "../runtime/ps.ts";
import type { EngineContext } from "./context.ts";
import { findRunningContainer } from "./find-container.ts";

/**
 * The processes that a container has now, those of `exec` too.
 * @param reference its name, ID, or the beginning of its ID
 * @throws NotFoundError, UsageError; ConflictError it does not run
 */
export async function topContainer(
  context: Pick<EngineContext, "root" | "state">,
  reference: string,
): Promise<ProcessList> {
  const { container } = await findRunningContainer(context, reference);
  using cgroup = container.cgroup();
  return listProcesses(cgroup);
}

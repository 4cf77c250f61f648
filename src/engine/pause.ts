import { containerEvent } from "../container/events.ts";
import { pauseContainer as pause, resumeContainer as resume } from "../runtime/pause.ts";
import { ConflictError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";
import { findRunningContainer } from "./find-container.ts";
import { recordEvent } from "./record-event.ts";

type PauseContext = Pick<EngineContext, "root" | "state" | "debug">;

/**
 * Stops all processes of a container where they are.
 * @param reference its name, ID, or the beginning of its ID
 * @throws NotFoundError, UsageError; ConflictError it does not run, or is paused already; CgroupError
 */
export async function pauseContainer(context: PauseContext, reference: string): Promise<void> {
  const { record, container } = await findRunningContainer(context, reference);
  if (container.status() === "paused") throw new ConflictError(`container ${reference} is paused already`);
  pause(container);
  recordEvent(context, containerEvent(record, "pause"));
}

/** Lets them go on. @throws as {@link pauseContainer}; ConflictError it is not paused */
export async function unpauseContainer(context: PauseContext, reference: string): Promise<void> {
  const { record, container } = await findRunningContainer(context, reference);
  if (container.status() !== "paused") throw new ConflictError(`container ${reference} is not paused`);
  resume(container);
  recordEvent(context, containerEvent(record, "unpause"));
}

import { containerEvent } from "../container/events.ts";
import { openFirstProcess } from "../container/first-process.ts";
import { notRunning } from "../container/not-running.ts";
import { SIGKILL } from "../linux/constants.ts";
import { sendSignal } from "../linux/process.ts";
import type { EngineContext } from "./context.ts";
import { findContainer } from "./find-container.ts";
import { recordEvent } from "./record-event.ts";
import { halt, stopSignalOf } from "./stop.ts";

/**
 * `gocker kill`: sends a signal to a container's first process. After one that is meant to end it, no policy starts it
 * again.
 * @param reference its name, ID, or the beginning of its ID
 * @throws NotFoundError, UsageError as `ContainerStore.resolve`; NotRunningError
 */
export async function killContainer(context: EngineContext, reference: string, signal: number): Promise<void> {
  const { stores, record } = await findContainer(context, reference);
  const isMeantToEnd = signal === SIGKILL || signal === stopSignalOf(record);
  if (isMeantToEnd && record.state.status === "restarting") {
    // There may be no process to get the signal: what is to end is the starting again.
    await halt(context, stores.containers, record, { timeout: 0, signal });
  } else {
    using process = openFirstProcess(record.state);
    if (process === undefined) throw notRunning(reference);
    if (isMeantToEnd) stores.containers.markStopped(record.id);
    if (!sendSignal(process, signal)) throw notRunning(reference);
  }
  recordEvent(context, containerEvent(record, "kill", { signal: String(signal) }));
}

import { containerEvent } from "../container/events.ts";
import { openFirstProcess } from "../container/first-process.ts";
import { notRunning } from "../container/not-running.ts";
import type { ContainerRecord } from "../container/record.ts";
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
  const { containers } = stores;
  const isMeantToEnd = signal === SIGKILL || signal === stopSignalOf(record);
  const isAlive = record.state.status === "running" || record.state.status === "restarting";
  if (isMeantToEnd && isAlive) containers.markStopped(record.id);
  if (!signalProcess(record, signal)) {
    // Between two runs there is no process: what is to end is the starting again.
    if (!isMeantToEnd || !isAlive || record.restart === undefined) throw notRunning(reference);
    await halt(context, containers, record, { timeout: 0, signal });
  }
  recordEvent(context, containerEvent(record, "kill", { signal: String(signal) }));
}

/** @returns false when the container has no process that could get a signal */
function signalProcess({ state }: ContainerRecord, signal: number): boolean {
  using process = openFirstProcess(state);
  return process !== undefined && sendSignal(process, signal);
}

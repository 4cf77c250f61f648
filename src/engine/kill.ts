import { openFirstProcess } from "../container/first-process.ts";
import { notRunning } from "../container/not-running.ts";
import type { ContainerRecord } from "../container/record.ts";
import { SIGKILL } from "../linux/constants.ts";
import { sendSignal } from "../linux/process.ts";
import type { EngineContext } from "./context.ts";
import { findContainer } from "./find-container.ts";
import { recordSignal } from "./record-event.ts";
import { halt, stopSignalOf, tellMonitor, untilDone } from "./stop.ts";

/**
 * `gocker kill`: sends a signal to a container's first process. After one that is meant to end it, no policy starts it
 * again. SIGKILL cannot be anything but the end, so that is waited for; what becomes of other signals is the program's.
 * @param reference its name, ID, or the beginning of its ID
 * @throws NotFoundError, UsageError as `ContainerStore.resolve`; NotRunningError; ConflictError it was killed and does not
 *   end
 */
export async function killContainer(context: EngineContext, reference: string, signal: number): Promise<void> {
  const { stores, record } = await findContainer(context, reference);
  const { containers } = stores;
  const isMeantToEnd = signal === SIGKILL || signal === stopSignalOf(record);
  const isAlive = record.state.status === "running" || record.state.status === "restarting";
  if (isMeantToEnd && isAlive) containers.markStopped(record.id);
  // Before the signal: one that has ended has no monitor that could tell when it is done.
  using monitor = signal === SIGKILL && isAlive ? tellMonitor(context.state, record.id) : undefined;
  if (signalProcess(record, signal)) {
    recordSignal(context, record, signal);
    if (signal === SIGKILL) await untilDone(context, containers, record.id, monitor);
    return;
  }
  // Between two runs there is no process: what is to end is the starting again.
  if (!isMeantToEnd || !isAlive || record.restart === undefined) throw notRunning(reference);
  await halt(context, containers, record, { timeout: 0, signal });
}

/** @returns false when the container has no process that could get a signal */
function signalProcess({ state }: ContainerRecord, signal: number): boolean {
  using process = openFirstProcess(state);
  return process !== undefined && sendSignal(process, signal);
}

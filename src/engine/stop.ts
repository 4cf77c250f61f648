import { openFirstProcess } from "../container/first-process.ts";
import { containerEvent } from "../container/events.ts";
import { connectToMonitor } from "../container/monitor/socket.ts";
import type { ContainerRecord } from "../container/record.ts";
import type { ContainerStore } from "../container/records.ts";
import { SIGKILL } from "../linux/constants.ts";
import { errnos } from "../linux/errno.ts";
import { type OwnedFd, readSome, waitReadable } from "../linux/fd.ts";
import { FileLock } from "../linux/lock.ts";
import { processEnded, sendSignal } from "../linux/process.ts";
import { signalNumber } from "../linux/signals.ts";
import { ConflictError, errorMessage, NotFoundError, SystemCallError } from "../util/errors.ts";
import { shortId } from "../util/ids.ts";
import type { EngineContext } from "./context.ts";
import { openContainers } from "./reconcile.ts";
import { recordEvent, recordSignal } from "./record-event.ts";

export interface StopOptions {
  /** Seconds until it is killed; negative: never. The container's own when absent. */
  readonly timeout?: number | undefined;
  /** The number of the signal that asks it to stop. The container's own when absent. */
  readonly signal?: number | undefined;
  /** It is not its user who wants it: after a boot its policy may start it again. */
  readonly forShutdown?: boolean;
}

type HaltContext = Pick<EngineContext, "root" | "state"> & Partial<Pick<EngineContext, "debug" | "warn">>;

const defaultTimeout = 10;
/** Milliseconds in which a container that was killed must be gone. */
const patience = 10_000;
const sigterm = 15;

/**
 * `gocker stop` of a container.
 * @param reference its name, ID, or the beginning of its ID
 * @throws as {@link stop}, and UsageError as `ContainerStore.resolve`
 */
export async function stopContainer(context: EngineContext, reference: string, options: StopOptions): Promise<void> {
  const { containers } = await openContainers(context);
  await stop(context, containers, containers.resolve(reference), options);
}

/**
 * Asks a container to end, kills it when it does not, and returns when its end is on record. One that does
 * not run is left as it is. No policy starts it again.
 * @throws NotFoundError there is none; ConflictError it does not end
 */
export async function stop(
  context: Pick<EngineContext, "root" | "state" | "debug" | "warn">,
  containers: ContainerStore,
  id: string,
  options: StopOptions,
): Promise<void> {
  const record = containers.read(id);
  const { status } = record.state;
  if (status !== "running" && status !== "restarting") return;
  await halt(context, containers, record, options);
  recordEvent(context, containerEvent(record, "stop"));
}

/** The work of {@link stop}, on a container that runs or is being started again. @throws as that */
export async function halt(
  context: HaltContext,
  containers: ContainerStore,
  record: ContainerRecord,
  options: StopOptions,
): Promise<void> {
  const { id } = record;
  const { state, debug } = context;
  if (options.forShutdown !== true) containers.markStopped(id);
  using monitor = tellMonitor(context.state, id);
  using process = openFirstProcess(containers.read(id).state);
  if (process !== undefined) {
    const { signal = stopSignalOf(record), timeout = record.stopTimeout ?? defaultTimeout } = options;
    await askToEnd(process, signal, timeout, (sent) => recordSignal({ state, debug }, record, sent));
  }
  await untilDone(context, containers, id, monitor);
}

/**
 * Waits until a container that ends is at rest, and has its end put on record where nobody else could: with `--rm` its name
 * is free by then.
 * @param monitor from {@link tellMonitor}
 * @throws ConflictError it takes too long
 */
export async function untilDone(
  context: HaltContext,
  containers: ContainerStore,
  id: string,
  monitor: OwnedFd | undefined,
): Promise<void> {
  const deadline = Date.now() + patience;
  if (monitor !== undefined) await untilClosed(monitor);
  await untilAtRest(containers, id, deadline - Date.now());
  if (runsOnRecord(containers, id)) await putOnRecord(context, id);
}

/** Whether nobody has written down that a container has ended, which has nobody any more who could. */
function runsOnRecord(containers: ContainerStore, id: string): boolean {
  try {
    const { status } = containers.read(id).state;
    return status === "running" || status === "restarting";
  } catch (error) {
    // Removed at its end.
    if (error instanceof NotFoundError) return false;
    throw error;
  }
}

/** Whoever looked after the container has died, or could not do that: the disk may be full. */
async function putOnRecord(context: HaltContext, id: string): Promise<void> {
  await openContainers(context, (broken, error) => {
    if (broken === id) context.warn?.(`the end of container ${shortId(id)} is not on record: ${errorMessage(error)}`);
  });
}

/** The signal that asks a container to stop. */
export function stopSignalOf({ stopSignal }: Pick<ContainerRecord, "stopSignal">): number {
  return stopSignal === undefined ? sigterm : (signalNumber(stopSignal) ?? sigterm);
}

/** @param onSent told of each signal that the process got */
async function askToEnd(
  process: OwnedFd,
  signal: number,
  timeout: number,
  onSent: (signal: number) => void,
): Promise<void> {
  const send = (number: number) => {
    const isSent = sendSignal(process, number);
    if (isSent) onSent(number);
    return isSent;
  };
  if (!send(signal)) return;
  if (timeout < 0) return await processEnded(process);
  const late = Symbol("late");
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<typeof late>((resolve) => (timer = setTimeout(() => resolve(late), timeout * 1000)));
  const outcome = await Promise.race([processEnded(process), tooLate]);
  clearTimeout(timer);
  if (outcome === late) send(SIGKILL);
}

/**
 * Tells a container's monitor not to start it again: one that waits for that gives it up.
 * @returns the connection, which is closed once the container is at rest; undefined without a monitor
 */
export function tellMonitor(state: string, id: string): OwnedFd | undefined {
  return connectToMonitor(state, id, { output: false, input: false, stop: true });
}

/** Resolves when the other end of a connection is closed, or after so many milliseconds. */
export async function untilClosed(connection: OwnedFd, milliseconds: number = patience): Promise<void> {
  const deadline = Date.now() + milliseconds;
  const buffer = new Uint8Array(4096);
  for (let left = milliseconds; left > 0; left = deadline - Date.now()) {
    if (!(await waitReadable(connection.number, left))) return;
    try {
      if (readSome(connection.number, buffer).length === 0) return;
    } catch (error) {
      // It was closed before the greeting was read.
      if (error instanceof SystemCallError && error.errno === errnos.ECONNRESET) return;
      throw error;
    }
  }
}

/**
 * Waits until whoever runs the container has put its end on record, and let go of it.
 * @throws ConflictError it takes too long
 */
async function untilAtRest(containers: ContainerStore, id: string, milliseconds: number): Promise<void> {
  const deadline = AbortSignal.timeout(Math.max(1, milliseconds));
  try {
    using lock = await FileLock.acquire(containers.lockPath(id), "shared", { signal: deadline, file: "there" });
    lock.release();
  } catch (error) {
    // At rest there is no lock.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    if (!deadline.aborted) throw error;
    throw doesNotEnd(containers, id);
  }
}

function doesNotEnd(containers: ContainerStore, id: string): ConflictError {
  using process = openFirstProcess(containers.read(id).state);
  const hint = `gocker rm -f ${shortId(id)} removes the container all the same`;
  if (process !== undefined) {
    return new ConflictError(`container ${shortId(id)} does not end: a process of it hangs in the kernel`, { hint });
  }
  const whoever = "whoever looks after it does not answer";
  return new ConflictError(`container ${shortId(id)} has ended, but that is not on record: ${whoever}`, { hint });
}

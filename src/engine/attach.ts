import { Attachment, type AttachmentEnd } from "../container/attachment.ts";
import { containerEvent } from "../container/events.ts";
import { openFirstProcess } from "../container/first-process.ts";
import { LeftAloneError } from "../container/left-alone.ts";
import type { Greeting } from "../container/monitor/protocol.ts";
import { connectToMonitor } from "../container/monitor/socket.ts";
import { standsStill } from "../container/not-running.ts";
import type { ContainerRecord } from "../container/record.ts";
import type { ContainerStore } from "../container/records.ts";
import { ProxiedSignals, takeEndingSignals } from "../container/signal-proxy.ts";
import { SIGHUP } from "../linux/constants.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { exitCodeOf } from "../linux/process.ts";
import { ConflictError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";
import { findRunningContainer } from "./find-container.ts";
import { recordEvent } from "./record-event.ts";
import { unreachable } from "./unreachable.ts";

export interface AttachOptions {
  /** gocker's standard input goes to the container. */
  readonly input: boolean;
  /** From `parseDetachKeys`. */
  readonly detachKeys: Uint8Array;
  /** gocker's signals go to the container; else they end gocker alone. */
  readonly signals: boolean;
  /** See `AttachmentOptions`. */
  readonly outputs?: ReadonlySet<string>;
}

/** What somebody who attaches tells the monitor. */
export function greetingOf(record: ContainerRecord, { input }: Pick<AttachOptions, "input">): Greeting {
  return { output: true, input: input && (record.interactive === true || record.terminal) };
}

/**
 * The options of who attaches to a container, for this one: as with docker, one with a terminal gets no signals. At that
 * terminal keys take their place, where there is input; where there is none, ctrl-C ends gocker.
 */
export function optionsFor({ terminal }: ContainerRecord, options: AttachOptions): AttachOptions {
  return { ...options, signals: options.signals && !terminal };
}

/**
 * `gocker attach`: shows a container that runs until it ends or is left.
 * @param reference its name, ID, or the beginning of its ID
 * @returns as {@link showContainer}
 * @throws NotFoundError, UsageError as `ContainerStore.resolve`; NotRunningError; ConflictError its monitor cannot be
 *   reached; as {@link showContainer}
 */
export async function attachToContainer(
  context: EngineContext,
  reference: string,
  options: AttachOptions,
): Promise<number> {
  const { stores, record, isPaused } = await findRunningContainer(context, reference);
  if (isPaused) throw standsStill(reference);
  const connect = async () => {
    const connection = connectToMonitor(context.state, record.id, greetingOf(record, options));
    if (connection === undefined) throw unreachable("attach to", { reference, record, state: context.state });
    recordEvent(context, containerEvent(record, "attach"));
    return connection;
  };
  const exitCode = await showContainer(context, stores.containers, record, connect, optionsFor(record, options));
  if (exitCode === undefined) throw new Error("there is a connection to a monitor, and it is not shown");
  return exitCode;
}

/**
 * Shows a container by a connection to its monitor until it ends or is left. Signals that come before it runs are its own,
 * too.
 * @param connect starts it, where it does not run yet
 * @returns the exit code: the container's own; 0 when it was left by the keys for that; 128 and the signal's number when
 *   gocker got a signal that is not passed on, or its terminal has hung up (129). Undefined when there is no connection
 * @throws LeftAloneError it does not end, and whoever waited for it has insisted
 */
export async function showContainer(
  context: Pick<EngineContext, "state" | "debug">,
  containers: ContainerStore,
  record: ContainerRecord,
  connect: () => Promise<OwnedFd | undefined>,
  options: AttachOptions,
): Promise<number | undefined> {
  const { detachKeys, outputs } = options;
  const { input } = greetingOf(record, options);
  const leaving = Promise.withResolvers<AttachmentEnd | { readonly signal: number }>();
  // It may come to that before somebody waits for it.
  leaving.promise.catch(() => {});
  using signals = options.signals
    ? new ProxiedSignals({
        onImpatience: () => leaving.reject(leftAlone(record)),
        onHangUp: () => leaving.resolve("hung up"),
      })
    : undefined;
  // gocker's own terminal is to be put in order before.
  const hasOwnWay = record.terminal && !options.signals;
  using _ending = hasOwnWay ? takeEndingSignals((signal) => leaving.resolve({ signal })) : undefined;
  const connection = await connect();
  if (connection === undefined) return undefined;
  using process = openFirstProcess(containers.read(record.id).state);
  if (process !== undefined) signals?.passTo(process);
  using attachment = await Attachment.open(connection, { terminal: record.terminal, input, detachKeys, outputs });
  const end = await Promise.race([attachment.finished(), leaving.promise]);
  if (end === "detached") recordEvent(context, containerEvent(record, "detach"));
  if (end === "detached" || end === "unread") return 0;
  if (end === "hung up") return exitCodeOf({ signal: SIGHUP });
  if (end === "lost") throw new ConflictError("the container's monitor has died, and the container with it");
  return "signal" in end ? exitCodeOf(end) : end.exitCode;
}

function leftAlone({ name }: ContainerRecord): LeftAloneError {
  return new LeftAloneError(`container ${name}`, `gocker kill ${name} ends it, gocker attach ${name} shows it again`);
}

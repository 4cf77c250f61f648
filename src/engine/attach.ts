import { Attachment, type AttachmentEnd } from "../container/attachment.ts";
import { openFirstProcess } from "../container/first-process.ts";
import type { Greeting } from "../container/monitor/protocol.ts";
import { connectToMonitor } from "../container/monitor/socket.ts";
import { standsStill } from "../container/not-running.ts";
import type { ContainerRecord } from "../container/record.ts";
import type { ContainerStore } from "../container/records.ts";
import { ProxiedSignals } from "../container/signal-proxy.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { ConflictError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";
import { findRunningContainer } from "./find-container.ts";

export interface AttachOptions {
  /** gocker's standard input goes to the container. */
  readonly input: boolean;
  /** From `parseDetachKeys`. */
  readonly detachKeys: Uint8Array;
  /** gocker's signals go to the container. */
  readonly signals: boolean;
  /** See `AttachmentOptions`. */
  readonly outputs?: ReadonlySet<string>;
}

/** What somebody who attaches tells the monitor. */
export function greetingOf(record: ContainerRecord, { input }: Pick<AttachOptions, "input">): Greeting {
  return { output: true, input: input && (record.interactive === true || record.terminal) };
}

/**
 * `gocker attach`: shows a container that runs until it ends or is left.
 * @param reference its name, ID, or the beginning of its ID
 * @returns the exit code: the container's own; 0 when it was left
 * @throws NotFoundError, UsageError as `ContainerStore.resolve`; NotRunningError; ConflictError it has no monitor
 */
export async function attachToContainer(
  context: EngineContext,
  reference: string,
  options: AttachOptions,
): Promise<number> {
  const { stores, record, isPaused } = await findRunningContainer(context, reference);
  if (isPaused) throw standsStill(reference);
  const connect = async () => connectToMonitor(context.state, record.id, greetingOf(record, options));
  const exitCode = await showContainer(stores.containers, record, connect, options);
  if (exitCode !== undefined) return exitCode;
  throw new ConflictError(`cannot attach to container ${reference}: it belongs to the command that runs it`, {
    hint: "containers that are started with -d, or without --rm, can be attached to",
  });
}

/**
 * Shows a container by a connection to its monitor until it ends or is left. Signals that come before it runs are its own,
 * too.
 * @param connect starts it, where it does not run yet
 * @returns as {@link attachToContainer}; undefined when there is no connection
 */
export async function showContainer(
  containers: ContainerStore,
  record: ContainerRecord,
  connect: () => Promise<OwnedFd | undefined>,
  options: AttachOptions,
): Promise<number | undefined> {
  const { detachKeys, outputs } = options;
  const { input } = greetingOf(record, options);
  using signals = options.signals ? new ProxiedSignals() : undefined;
  const connection = await connect();
  if (connection === undefined) return undefined;
  using process = openFirstProcess(containers.read(record.id).state);
  if (process !== undefined) signals?.passTo(process);
  using attachment = await Attachment.open(connection, { terminal: record.terminal, input, detachKeys, outputs });
  return exitCodeOf(await attachment.finished());
}

function exitCodeOf(end: AttachmentEnd): number {
  if (end === "detached") return 0;
  if (end === "lost") throw new ConflictError("the container's monitor has died, and the container with it");
  return end.exitCode;
}

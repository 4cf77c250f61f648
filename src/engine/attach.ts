import { Attachment, type AttachmentEnd } from "../container/attachment.ts";
import { defaultDetachKeys, parseDetachKeys } from "../container/detach-keys.ts";
import { openFirstProcess } from "../container/first-process.ts";
import type { Greeting } from "../container/monitor/protocol.ts";
import { connectToMonitor } from "../container/monitor/socket.ts";
import type { ContainerRecord } from "../container/record.ts";
import type { ContainerStore } from "../container/records.ts";
import { proxySignals } from "../container/signal-proxy.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { sendSignal } from "../linux/process.ts";
import { ConflictError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";
import { openContainers } from "./reconcile.ts";

export interface AttachOptions {
  /** gocker's standard input goes to the container. */
  readonly input: boolean;
  /** As docker writes them; ctrl-p,ctrl-q when absent. */
  readonly detachKeys?: string | undefined;
  /** gocker's signals go to the container. */
  readonly signals: boolean;
}

/** What somebody who attaches tells the monitor. */
export function greetingOf(record: ContainerRecord, { input }: Pick<AttachOptions, "input">): Greeting {
  return { output: true, input: input && (record.interactive === true || record.terminal) };
}

/**
 * `gocker attach`: shows a container that runs until it ends or is left.
 * @param reference its name, ID, or the beginning of its ID
 * @returns the exit code: the container's own; 0 when it was left
 * @throws NotFoundError, UsageError as `ContainerStore.resolve`; ConflictError it does not run, or not with a monitor
 */
export async function attachToContainer(
  context: EngineContext,
  reference: string,
  options: AttachOptions,
): Promise<number> {
  const { containers } = await openContainers(context);
  const id = containers.resolve(reference);
  const record = containers.read(id);
  const { status } = record.state;
  if (status !== "running") throw new ConflictError(`cannot attach to container ${reference}: it is ${status}`);
  const connection = connectToMonitor(context.state, id, greetingOf(record, options));
  if (connection === undefined) {
    throw new ConflictError(`cannot attach to container ${reference}: it belongs to the command that runs it`, {
      hint: "containers that are started with -d, or without --rm, can be attached to",
    });
  }
  return await showContainer(containers, record, connection, options);
}

/**
 * Shows a container by a connection to its monitor until it ends or is left.
 * @returns as {@link attachToContainer}
 */
export async function showContainer(
  containers: ContainerStore,
  record: ContainerRecord,
  connection: OwnedFd,
  options: AttachOptions,
): Promise<number> {
  const { input } = greetingOf(record, options);
  const detachKeys = parseDetachKeys(options.detachKeys ?? defaultDetachKeys);
  using _signals = options.signals
    ? proxySignals((signal) => signalContainer(containers, record.id, signal))
    : undefined;
  using attachment = await Attachment.open(connection, { terminal: record.terminal, input, detachKeys });
  return exitCodeOf(await attachment.finished());
}

function signalContainer(containers: ContainerStore, id: string, signal: number): void {
  using process = openFirstProcess(containers.read(id).state);
  if (process !== undefined) sendSignal(process, signal);
}

function exitCodeOf(end: AttachmentEnd): number {
  if (end === "detached") return 0;
  if (end === "lost") throw new ConflictError("the container's monitor has died, and the container with it");
  return end.exitCode;
}

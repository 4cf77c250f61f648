import { appendEvent, containerEvent, type NewEvent, volumeEvents } from "../container/events.ts";
import type { ContainerRecord } from "../container/record.ts";
import { errorMessage } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";

type EventContext = Pick<EngineContext, "state" | "debug">;

/**
 * Tells those who follow `gocker events` of something that has happened. That it cannot be told (the disk is full) undoes
 * nothing and is no failure of the command: it goes to the debug log.
 */
export function recordEvent({ state, debug }: EventContext, event: NewEvent): void {
  try {
    appendEvent(state, event);
  } catch (error) {
    debug?.(`the event ${event.type} ${event.action} is lost: ${errorMessage(error)}`);
  }
}

/** Tells of a container that is about to run: its volumes are in use. */
export function recordMounts(context: EventContext, record: ContainerRecord): void {
  for (const event of volumeEvents(record, "mount")) recordEvent(context, event);
}

/** The reverse of {@link recordMounts}: of a container that did not get to run, too. */
export function recordUnmounts(context: EventContext, record: ContainerRecord): void {
  for (const event of volumeEvents(record, "unmount")) recordEvent(context, event);
}

/** Tells of a signal that was sent to a container, whoever wanted what of that: as Docker does, of each. */
export function recordSignal(context: EventContext, record: ContainerRecord, signal: number): void {
  recordEvent(context, containerEvent(record, "kill", { signal: String(signal) }));
}

/**
 * Tells of the end of a container: as Docker does, of its volumes first.
 * @param end.oomKilled processes of it were killed for lack of memory, and nobody has been told
 */
export function recordEnd(
  context: EventContext,
  record: ContainerRecord,
  { exitCode, oomKilled }: { readonly exitCode: number; readonly oomKilled?: boolean | undefined },
): void {
  if (oomKilled === true) recordEvent(context, containerEvent(record, "oom"));
  recordUnmounts(context, record);
  recordEvent(context, containerEvent(record, "die", { exitCode: String(exitCode) }));
}

/**
 * {@link recordEvent}, of an image.
 * @param id as Docker has it: the name of one that was pulled, else the ID
 * @param name without its tag, where Docker knows one; else the ID
 */
export function recordImageEvent(
  context: EventContext,
  action: "delete" | "load" | "pull" | "save" | "tag" | "untag",
  { id, name, labels }: { readonly id: string; readonly name: string; readonly labels: Labels },
): void {
  recordEvent(context, { type: "image", action, id, attributes: { ...labels, name } });
}

/** As an image's configuration has them. */
type Labels = Readonly<Record<string, string>> | null | undefined;

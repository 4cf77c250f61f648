import { appendEvent, type NewEvent } from "../container/events.ts";
import { errorMessage } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";

/**
 * Tells those who follow `gocker events` of something that has happened. That it cannot be told (the disk is full) undoes
 * nothing and is no failure of the command: it goes to the debug log.
 */
export function recordEvent({ state, debug }: Pick<EngineContext, "state" | "debug">, event: NewEvent): void {
  try {
    appendEvent(state, event);
  } catch (error) {
    debug?.(`the event ${event.type} ${event.action} is lost: ${errorMessage(error)}`);
  }
}

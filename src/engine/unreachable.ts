import { hasMonitor } from "../container/monitor/presence.ts";
import { monitorSocket } from "../container/monitor/socket.ts";
import type { ContainerRecord } from "../container/record.ts";
import { ConflictError } from "../util/errors.ts";

/** Whose monitor could not be reached. */
export interface UnreachableContainer {
  /** As the user said it. */
  readonly reference: string;
  readonly record: ContainerRecord;
  /** gocker's state directory. */
  readonly state: string;
}

/**
 * Why nothing can be had of the monitor of a container that runs: it has none, or its socket is gone.
 * @param deed what was to be done: `attach to`
 */
export function unreachable(deed: string, { reference, record, state }: UnreachableContainer): ConflictError {
  if (hasMonitor(record.state)) {
    const path = monitorSocket(state, record.id);
    return new ConflictError(`cannot ${deed} container ${reference}: its monitor has no socket any more at ${path}`, {
      hint: `it was removed, or lies in another state directory (--state); gocker restart ${reference} makes a new one`,
    });
  }
  return new ConflictError(`cannot ${deed} container ${reference}: it belongs to the command that runs it`, {
    hint: `what is started with -d, or without --rm, does not`,
  });
}

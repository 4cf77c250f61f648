import { GockerError } from "../util/errors.ts";

/** A container does not run, or stands still, and something can only be done with one that does. */
export class NotRunningError extends GockerError {
  override readonly name = "NotRunningError";
  constructor(message: string, hint: string) {
    super("NOT_RUNNING", message, { hint });
  }
}

/** A container whose processes stand still. @param name the container's, as the user said it */
export function standsStill(name: string): NotRunningError {
  return new NotRunningError(`container ${name} is paused`, `let it go on first: gocker unpause ${name}`);
}

/** @param name the container's, as the user said it */
export function notRunning(name: string): NotRunningError {
  return new NotRunningError(`container ${name} is not running`, "`gocker ps` lists the containers that do");
}

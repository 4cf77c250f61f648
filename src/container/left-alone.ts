import { GockerError } from "../util/errors.ts";
import { shortTime } from "./impatience.ts";

/** Who waited for something in a container was asked to end several times in a row, and has left it. */
export class LeftAloneError extends GockerError {
  override readonly name = "LeftAloneError";

  /**
   * @param what was waited for: `container web`
   * @param hint how it is ended
   */
  constructor(what: string, hint: string) {
    const reason = `the third SIGINT or SIGTERM came within ${shortTime / 1000} seconds`;
    super("LEFT_ALONE", `no longer waiting for ${what}, which goes on: ${reason}`, { hint });
  }
}

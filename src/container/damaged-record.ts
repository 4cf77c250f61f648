import { InvalidDocumentError } from "../util/errors.ts";
import { shortId } from "../util/ids.ts";

/**
 * What is on record of a container cannot be read, because it is not whole: the power has failed, or somebody has changed
 * it. It can still be removed. A record of a newer gocker is another error: that one can read it.
 */
export class DamagedRecordError extends InvalidDocumentError {
  /** @param what says what is wrong with which file */
  constructor(id: string, what: string, cause?: unknown) {
    super(`the record of container ${shortId(id)} is damaged: ${what}`, {
      hint: `gocker rm -f ${shortId(id)} ends the container, if it runs, and removes what is left of it`,
      cause,
    });
  }
}

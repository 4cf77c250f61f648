import { UsageError } from "../../../util/errors.ts";
import { ociCommand } from "../command.ts";

/** Commands of runc's that need CRIU, a program that would have to be there: they say so, whatever their words are. */
function refused(name: string) {
  return ociCommand({
    meta: {
      name,
      description: "Not supported",
      usage: "[ARG...]",
      operands: { minimum: 0, maximum: Number.POSITIVE_INFINITY, endFlags: true },
    },
    flags: {},
    async run() {
      throw new UsageError(`${name} is not supported`, { hint: "gocker does not save and restore running processes" });
    },
  });
}

export const checkpointCommand = refused("checkpoint");
export const restoreCommand = refused("restore");

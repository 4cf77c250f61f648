import { removeImage } from "../../engine/rmi.ts";
import { familiarReference, parseReference } from "../../oci/reference.ts";
import { NotFoundError } from "../../util/errors.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { writeError, writeOutput } from "../output/write.ts";
import { forEach } from "../../util/each.ts";

export const rmiCommand = command({
  meta: {
    name: "rmi",
    description: "Remove images",
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY },
    absent: new Set(["no-prune", "platform"]),
    examples: [
      { words: "gocker rmi alpine:3.18", does: "A name, and with its last name the image" },
      { words: "gocker rmi 05455a08881e", does: "An image by the beginning of its ID" },
    ],
  },
  flags: {
    force: {
      type: "boolean",
      alias: "f",
      description: "Also when containers use it or it has several names; what does not exist is no failure",
    },
  },
  async run(invocation) {
    const { flags, operands } = invocation;
    const context = openEngine(invocation.everywhere);
    await forEach(operands, async (image) => {
      try {
        const { untagged, deleted } = await removeImage(context, image, { force: flags.force });
        for (const reference of untagged) writeOutput(`Untagged: ${familiarReference(parseReference(reference))}\n`);
        for (const id of deleted) writeOutput(`Deleted: ${id}\n`);
      } catch (error) {
        if (!flags.force || !(error instanceof NotFoundError)) throw error;
        writeError(`gocker: ${error.message}\n`);
      }
    });
    return 0;
  },
});

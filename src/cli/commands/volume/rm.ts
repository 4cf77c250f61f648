import { removeVolume } from "../../../engine/volumes.ts";
import { NotFoundError } from "../../../util/errors.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { writeOutput } from "../../output/write.ts";
import { forEach } from "../../../util/each.ts";

export const volumeRmCommand = command({
  meta: {
    name: "rm",
    description: "Remove volumes with all that is in them",
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY },
    examples: [{ words: "gocker volume rm db", does: "A volume that no container has" }],
  },
  flags: {
    force: { type: "boolean", alias: "f", description: "What does not exist is no failure" },
  },
  async run(invocation) {
    const context = openEngine(invocation.everywhere);
    await forEach(invocation.operands, async (name) => {
      try {
        await removeVolume(context, name);
      } catch (error) {
        if (!invocation.flags.force || !(error instanceof NotFoundError)) throw error;
      }
      writeOutput(`${name}\n`);
    });
    return 0;
  },
});

import { removeNetwork } from "../../../engine/networks.ts";
import { forEach } from "../../../util/each.ts";
import { NotFoundError } from "../../../util/errors.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { writeOutput } from "../../output/write.ts";

export const networkRmCommand = command({
  meta: {
    name: "rm",
    description: "Remove networks",
    usage: "[OPTIONS] NETWORK [NETWORK...]",
    operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY },
    examples: [{ words: "gocker network rm blue", does: "A network that no container which runs is in" }],
  },
  flags: {
    force: { type: "boolean", alias: "f", description: "What does not exist is no failure" },
  },
  async run({ flags, operands, everywhere }) {
    const context = openEngine(everywhere);
    await forEach(operands, async (reference) => {
      try {
        await removeNetwork(context, reference);
      } catch (error) {
        if (!flags.force || !(error instanceof NotFoundError)) throw error;
      }
      writeOutput(`${reference}\n`);
    });
    return 0;
  },
});

import { pauseContainer } from "../../engine/pause.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { writeOutput } from "../output/write.ts";
import { forEach } from "../../util/each.ts";

export const pauseCommand = command({
  meta: {
    name: "pause",
    description: "Stop all processes of containers where they are",
    usage: "CONTAINER [CONTAINER...]",
    operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY },
    examples: [{ words: "gocker pause web", does: "Until gocker unpause web; it notices nothing of it" }],
  },
  flags: {},
  async run({ operands, everywhere }) {
    const context = openEngine(everywhere);
    await forEach(operands, async (reference) => {
      await pauseContainer(context, reference);
      writeOutput(`${reference}\n`);
    });
    return 0;
  },
});

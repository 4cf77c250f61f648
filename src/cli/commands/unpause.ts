import { unpauseContainer } from "../../engine/pause.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { writeOutput } from "../output/write.ts";
import { forEach } from "../../util/each.ts";

export const unpauseCommand = command({
  meta: {
    name: "unpause",
    description: "Let the processes of paused containers go on",
    usage: "CONTAINER [CONTAINER...]",
    operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY },
    examples: [{ words: "gocker unpause $(gocker ps -q --filter status=paused)", does: "All that are paused" }],
  },
  flags: {},
  async run({ operands, everywhere }) {
    const context = openEngine(everywhere);
    await forEach(operands, async (reference) => {
      await unpauseContainer(context, reference);
      writeOutput(`${reference}\n`);
    });
    return 0;
  },
});

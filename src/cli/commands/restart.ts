import { restartContainer } from "../../engine/start.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { writeOutput } from "../output/write.ts";
import { forAllAtOnce } from "../../util/each.ts";
import { stopFlags, stopOptions } from "./stop/flags.ts";

export const restartCommand = command({
  meta: {
    name: "restart",
    description: "Stop containers, where they run, and start them again",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY },
    examples: [{ words: "gocker restart web", does: "A stop as by `gocker stop`, and a start" }],
  },
  flags: stopFlags,
  async run({ flags, operands, everywhere }) {
    const context = openEngine(everywhere);
    const options = stopOptions(flags);
    await forAllAtOnce(operands, async (reference) => {
      await restartContainer(context, reference, options);
      writeOutput(`${reference}\n`);
    });
    return 0;
  },
});

import { stopContainer } from "../../engine/stop.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { writeOutput } from "../output/write.ts";
import { stopFlags, stopOptions } from "./stop/flags.ts";
import { forEachOperandAtOnce } from "./several.ts";

export const stopCommand = command({
  meta: {
    name: "stop",
    description: "Ask containers to end, and kill those that do not",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY },
    examples: [
      { words: "gocker stop web", does: "The container's stop signal, and SIGKILL after 10 seconds" },
      { words: "gocker stop -t 0 web", does: "SIGKILL at once" },
    ],
  },
  flags: stopFlags,
  async run({ flags, operands, everywhere }) {
    const context = openEngine(everywhere);
    const options = stopOptions(flags);
    await forEachOperandAtOnce(operands, async (reference) => {
      await stopContainer(context, reference, options);
      writeOutput(`${reference}\n`);
    });
    return 0;
  },
});

import { stopRestartable } from "../../engine/restartable.ts";
import { stopContainer } from "../../engine/stop.ts";
import { UsageError } from "../../util/errors.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { writeOutput } from "../output/write.ts";
import { stopFlags, stopOptions } from "./stop/flags.ts";
import { forAllAtOnce } from "../../util/each.ts";

export const stopCommand = command({
  meta: {
    name: "stop",
    description: "Ask containers to end, and kill those that do not",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    operands: { minimum: 0, maximum: Number.POSITIVE_INFINITY },
    examples: [
      { words: "gocker stop web", does: "The container's stop signal, and SIGKILL after 10 seconds" },
      { words: "gocker stop -t 0 web", does: "SIGKILL at once" },
    ],
  },
  flags: {
    ...stopFlags,
    restartable: {
      type: "boolean",
      description: "Stop all that `start --restartable` starts again: for the time before a shutdown",
    },
  },
  async run({ flags, operands, everywhere }) {
    const context = openEngine(everywhere);
    const options = stopOptions(flags);
    if (flags.restartable) {
      if (operands.length > 0) throw new UsageError("--restartable means all containers, and takes no names");
      await stopRestartable(context, options, (name) => writeOutput(`${name}\n`));
      return 0;
    }
    if (operands.length === 0) throw new UsageError("stop needs at least 1 argument, and got none");
    await forAllAtOnce(operands, async (reference) => {
      await stopContainer(context, reference, options);
      writeOutput(`${reference}\n`);
    });
    return 0;
  },
});

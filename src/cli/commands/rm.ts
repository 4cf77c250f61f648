import { removeContainer } from "../../engine/rm.ts";
import { NotFoundError } from "../../util/errors.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { writeError, writeOutput } from "../output/write.ts";
import { forEach } from "../../util/each.ts";

export const rmCommand = command({
  meta: {
    name: "rm",
    description: "Remove containers",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY },
    absent: new Set(["link", "l"]),
    examples: [
      { words: "gocker rm web", does: "A container that does not run, by its name" },
      { words: "gocker rm -f $(gocker ps -aq)", does: "All of them, running or not" },
    ],
  },
  flags: {
    force: { type: "boolean", alias: "f", description: "Kill what still runs; what does not exist is no failure" },
    volumes: { type: "boolean", alias: "v", description: "Remove the volumes that were made for the container, too" },
  },
  async run(invocation) {
    const context = openEngine(invocation.everywhere);
    const { force, volumes } = invocation.flags;
    await forEach(invocation.operands, async (reference) => {
      try {
        await removeContainer(context, reference, { force, volumes });
      } catch (error) {
        if (!force || !(error instanceof NotFoundError)) throw error;
        writeError(`gocker: ${error.message}\n`);
        return;
      }
      writeOutput(`${reference}\n`);
    });
    return 0;
  },
});

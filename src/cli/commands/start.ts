import { defaultDetachKeys, parseDetachKeys } from "../../container/detach-keys.ts";
import { startRestartable } from "../../engine/restartable.ts";
import { startAttached, startContainer } from "../../engine/start.ts";
import { command } from "../command.ts";
import { UsageError } from "../../util/errors.ts";
import { openEngine } from "../open-engine.ts";
import { writeOutput } from "../output/write.ts";
import { forEach } from "../../util/each.ts";

export const startCommand = command({
  meta: {
    name: "start",
    description: "Start containers that do not run",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    operands: { minimum: 0, maximum: Number.POSITIVE_INFINITY },
    absent: new Set(["checkpoint", "checkpoint-dir"]),
    notes: [
      {
        heading: "Exit code",
        text: "With -a the container's own, as with run. Otherwise 0 when all run.",
      },
    ],
    examples: [
      { words: "gocker start web db", does: "Two containers, which go on by themselves" },
      { words: "gocker start --restartable", does: "What `gocker generate systemd` has done after each boot" },
      { words: "gocker start -ai shell", does: "Back into a container that was made with -it" },
    ],
  },
  flags: {
    restartable: {
      type: "boolean",
      description: "Start all that their policies want to run (--restart): for the time after a boot",
    },
    attach: {
      type: "boolean",
      alias: "a",
      description: "Show what the container writes; signals go to one without a terminal",
    },
    interactive: { type: "boolean", alias: "i", description: "Give the container gocker's standard input" },
    "detach-keys": {
      type: "string",
      valueHint: "KEYS",
      description: "Keys that leave a container with a terminal (ctrl-p,ctrl-q)",
    },
  },
  async run({ flags, operands, everywhere }) {
    const context = openEngine(everywhere);
    if (flags.restartable) {
      if (operands.length > 0) throw new UsageError("--restartable means all containers, and takes no names");
      await startRestartable(context, (name) => writeOutput(`${name}\n`));
      return 0;
    }
    if (operands.length === 0) throw new UsageError("start needs at least 1 argument, and got none");
    if (!flags.attach && !flags.interactive) {
      await forEach(operands, async (reference) => {
        await startContainer(context, reference);
        writeOutput(`${reference}\n`);
      });
      return 0;
    }
    const [reference = "", ...others] = operands;
    if (others.length > 0) throw new UsageError("only one container can be started and attached to at once");
    return await startAttached(context, reference, {
      input: flags.interactive,
      detachKeys: parseDetachKeys(flags["detach-keys"] || defaultDetachKeys),
      signals: true,
    });
  },
});

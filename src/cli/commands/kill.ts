import { killContainer } from "../../engine/kill.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { writeOutput } from "../output/write.ts";
import { forEach } from "../../util/each.ts";
import { signalOf } from "./stop/flags.ts";

export const killCommand = command({
  meta: {
    name: "kill",
    description: "Send containers a signal",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY },
    notes: [
      {
        heading: "Who waits",
        text: "With SIGKILL, until the container is at rest; what becomes of other signals is not waited for.",
      },
    ],
    examples: [
      { words: "gocker kill web", does: "SIGKILL" },
      { words: "gocker kill -s HUP web", does: "SIGHUP, which makes many servers read their settings again" },
    ],
  },
  flags: {
    signal: { type: "string", alias: "s", valueHint: "SIGNAL", default: "KILL", description: "Which signal" },
  },
  async run({ flags, operands, everywhere }) {
    const context = openEngine(everywhere);
    const signal = signalOf(flags.signal);
    await forEach(operands, async (reference) => {
      await killContainer(context, reference, signal);
      writeOutput(`${reference}\n`);
    });
    return 0;
  },
});

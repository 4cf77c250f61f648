import { waitForContainer } from "../../engine/wait.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { writeOutput } from "../output/write.ts";
import { forEach } from "../../util/each.ts";

export const waitCommand = command({
  meta: {
    name: "wait",
    description: "Wait until containers have ended; print their exit codes",
    usage: "CONTAINER [CONTAINER...]",
    operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY },
    notes: [
      {
        heading: "Exit codes",
        text:
          "One a line, in the order of the containers. One that does not run is not waited for. One with a restart " +
          "policy has ended when it is not started again.",
      },
    ],
    examples: [{ words: "gocker wait web", does: "0 when it has done what it should" }],
  },
  flags: {},
  async run({ operands, everywhere }) {
    const context = openEngine(everywhere);
    // All at once: one may be removed while another is waited for.
    const waits = new Map(operands.map((reference) => [reference, waitForContainer(context, reference)]));
    // Each is waited for below, but perhaps after it has failed.
    for (const wait of waits.values()) wait.catch(() => {});
    await forEach(operands, async (reference) => {
      writeOutput(`${await waits.get(reference)}\n`);
    });
    return 0;
  },
});

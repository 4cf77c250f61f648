import { updateContainer } from "../../engine/update.ts";
import { UsageError } from "../../util/errors.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { writeError, writeOutput } from "../output/write.ts";
import { changeableFlags, parseChangedResources } from "./run/resource-flags.ts";
import { parseRestart } from "./run/restart-flag.ts";
import { forEach } from "../../util/each.ts";

const updateFlags = {
  ...changeableFlags,
  restart: {
    type: "string",
    valueHint: "POLICY",
    description: "Start it again when it ends: no, always, unless-stopped or on-failure[:N]",
  },
} as const;

export const updateCommand = command({
  meta: {
    name: "update",
    description: "Change the limits and the restart policy of containers",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY },
    notes: [
      {
        heading: "What changes",
        text:
          "Limits that are given are in force at once in a container that runs, and hold when it is started again. The " +
          "others stay. What the kernel refuses changes nothing.",
      },
    ],
    examples: [
      { words: "gocker update --memory 1g --memory-swap 2g web", does: "More memory, and as much swap" },
      { words: "gocker update --cpus 0.5 --pids-limit 100 web db", does: "Two containers" },
      { words: "gocker update --restart unless-stopped web", does: "Start it again whenever it ends" },
    ],
  },
  flags: updateFlags,
  async run({ flags, operands, everywhere }) {
    const { restart = "", ...limits } = flags;
    const names = Object.keys(updateFlags) as (keyof typeof updateFlags)[];
    if (names.every((name) => flags[name] === undefined)) {
      throw new UsageError("update: there is nothing to change", { hint: "gocker update --help lists the flags" });
    }
    const resources = parseChangedResources(limits);
    const policy = restart === "" ? undefined : (parseRestart(restart) ?? "no");
    const context = openEngine(everywhere);
    await forEach(operands, async (reference) => {
      const warn = (message: string) => writeError(`gocker: warning: ${message}\n`);
      await updateContainer(context, reference, { resources, restart: policy, warn });
      writeOutput(`${reference}\n`);
    });
    return 0;
  },
});

import { type NetworkSummary, pruneNetworks } from "../../../engine/networks.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { confirm } from "../../output/confirm.ts";
import { hasLabel, parseFilters } from "../../output/filter.ts";
import { writeOutput } from "../../output/write.ts";

export const networkPruneCommand = command({
  meta: {
    name: "prune",
    description: "Remove networks that no container wants to be in",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
    notes: [{ heading: "Filters", text: "label, label! (does not have it)" }],
    examples: [{ words: "gocker network prune -f", does: "All of them, without a question" }],
  },
  flags: {
    filter: {
      type: "string",
      repeated: true,
      valueHint: "KEY=VALUE",
      description: "Only those to which this applies",
    },
    force: { type: "boolean", alias: "f", description: "Do not ask" },
  },
  async run({ flags, everywhere }) {
    const isWanted = parseFilters<NetworkSummary>(flags.filter, {
      label: ({ labels }, value) => hasLabel(labels, value),
      "label!": ({ labels }, value) => !hasLabel(labels, value),
    });
    const warning = "WARNING! This will remove all custom networks not used by at least one container.";
    if (!flags.force && !(await confirm(warning))) return 0;
    const names = await pruneNetworks(openEngine(everywhere), isWanted);
    if (names.length > 0) writeOutput(`Deleted Networks:\n${names.map((name) => `${name}\n`).join("")}\n`);
    return 0;
  },
});

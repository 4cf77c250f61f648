import { type NetworkSummary, pruneNetworks } from "../../../engine/networks.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { confirm } from "../../output/confirm.ts";
import { hasLabel, parseFilters } from "../../output/filter.ts";
import { parseDate } from "../../../util/instant.ts";
import { untilFilter } from "../../output/until-filter.ts";
import { writeOutput } from "../../output/write.ts";

export const networkPruneCommand = command({
  meta: {
    name: "prune",
    description: "Remove networks that no container wants to be in",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
    notes: [
      { heading: "Filters", text: "until (made before that time, such as 24h), label, label! (does not have it)" },
    ],
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
    const isWanted = networkFilter(flags.filter);
    const warning = "WARNING! This will remove all custom networks not used by at least one container.";
    if (!flags.force && !(await confirm(warning))) return 0;
    const names = await pruneNetworks(openEngine(everywhere), isWanted);
    writeOutput(deletedNetworks(names));
    return 0;
  },
});

/** The networks that `--filter` means. @throws {UsageError} */
export function networkFilter(texts: readonly string[]): (network: NetworkSummary) => boolean {
  return parseFilters<NetworkSummary>(texts, {
    until: untilFilter(({ created }: NetworkSummary) => parseDate(created)),
    label: ({ labels }, value) => hasLabel(labels, value),
    "label!": ({ labels }, value) => !hasLabel(labels, value),
  });
}

/** What is told of networks that are gone; nothing when there are none. */
export function deletedNetworks(names: readonly string[]): string {
  return names.length === 0 ? "" : `Deleted Networks:\n${names.map((name) => `${name}\n`).join("")}\n`;
}

import type { NetworkSummary } from "../../../engine/network/summary.ts";
import { pruneNetworks } from "../../../engine/networks.ts";
import { parseDate } from "../../../util/instant.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { confirm } from "../../output/confirm.ts";
import { ageAndLabelFilters, ageAndLabelFilterWords, deletedWords, pruneFlags } from "../../output/prune.ts";
import { writeOutput } from "../../output/write.ts";

export const networkPruneCommand = command({
  meta: {
    name: "prune",
    description: "Remove networks that no container wants to be in",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
    notes: [{ heading: "Filters", text: ageAndLabelFilterWords }],
    examples: [{ words: "gocker network prune -f", does: "All of them, without a question" }],
  },
  flags: {
    ...pruneFlags,
  },
  async run({ flags, everywhere }) {
    const isWanted = networkFilter(flags.filter);
    const warning = "WARNING! This will remove all custom networks not used by at least one container.";
    if (!flags.force && !(await confirm(warning))) return 0;
    const names = await pruneNetworks(openEngine(everywhere), isWanted);
    writeOutput(deletedWords("Networks", names));
    return 0;
  },
});

/** The networks that `--filter` means. @throws UsageError a filter is none */
export function networkFilter(texts: readonly string[]): (network: NetworkSummary) => boolean {
  return ageAndLabelFilters<NetworkSummary>(
    texts,
    ({ created }) => parseDate(created),
    ({ labels }) => labels,
  );
}

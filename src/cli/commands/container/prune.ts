import { type PrunableContainer, pruneContainers } from "../../../engine/prune-containers.ts";
import { parseDate } from "../../../util/instant.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { confirm } from "../../output/confirm.ts";
import { ageAndLabelFilters, ageAndLabelFilterWords, deletedWords, pruneFlags } from "../../output/prune.ts";
import { formatSize } from "../../output/units.ts";
import { writeOutput } from "../../output/write.ts";

export const containerPruneCommand = command({
  meta: {
    name: "prune",
    description: "Remove all containers that do not run",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
    notes: [{ heading: "Filters", text: ageAndLabelFilterWords }],
    examples: [{ words: "gocker container prune -f --filter until=24h", does: "Those that are older than a day" }],
  },
  flags: {
    ...pruneFlags,
  },
  async run({ flags, everywhere }) {
    const isWanted = containerFilter(flags.filter);
    if (!flags.force && !(await confirm("WARNING! This will remove all stopped containers."))) return 0;
    const { ids, reclaimed } = await pruneContainers(openEngine(everywhere), isWanted);
    writeOutput(deletedWords("Containers", ids));
    writeOutput(`Total reclaimed space: ${formatSize(reclaimed)}\n`);
    return 0;
  },
});

/** @throws UsageError a filter is none */
export function containerFilter(texts: readonly string[]): (container: PrunableContainer) => boolean {
  return ageAndLabelFilters<PrunableContainer>(
    texts,
    ({ created }) => parseDate(created),
    ({ labels }) => labels,
  );
}

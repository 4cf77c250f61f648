import type { ContainerRecord } from "../../../container/record.ts";
import { pruneContainers } from "../../../engine/prune-containers.ts";
import { parseDate } from "../../../util/instant.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { confirm } from "../../output/confirm.ts";
import { hasLabel, parseFilters } from "../../output/filter.ts";
import { formatSize } from "../../output/units.ts";
import { untilFilter } from "../../output/until-filter.ts";
import { writeOutput } from "../../output/write.ts";

export const containerPruneCommand = command({
  meta: {
    name: "prune",
    description: "Remove all containers that do not run",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
    notes: [
      { heading: "Filters", text: "until (made before that time, such as 24h), label, label! (does not have it)" },
    ],
    examples: [{ words: "gocker container prune -f --filter until=24h", does: "Those that are older than a day" }],
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
    const isWanted = containerFilter(flags.filter);
    if (!flags.force && !(await confirm("WARNING! This will remove all stopped containers."))) return 0;
    const { ids, reclaimed } = await pruneContainers(openEngine(everywhere), isWanted);
    if (ids.length > 0) writeOutput(`Deleted Containers:\n${ids.map((id) => `${id}\n`).join("")}\n`);
    writeOutput(`Total reclaimed space: ${formatSize(reclaimed)}\n`);
    return 0;
  },
});

/** @throws UsageError a filter is none */
export function containerFilter(texts: readonly string[]): (record: ContainerRecord) => boolean {
  return parseFilters<ContainerRecord>(texts, {
    until: untilFilter(({ created }: ContainerRecord) => parseDate(created)),
    label: ({ labels }, value) => hasLabel(labels, value),
    "label!": ({ labels }, value) => !hasLabel(labels, value),
  });
}

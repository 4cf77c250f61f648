import { shownLabels, type VolumeRecord } from "../../../container/volume-record.ts";
import { pruneVolumes } from "../../../engine/volumes.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { confirm } from "../../output/confirm.ts";
import { deletedWords, labelFilters, labelFilterWords, pruneFlags } from "../../output/prune.ts";
import { formatSize } from "../../output/units.ts";
import { writeOutput } from "../../output/write.ts";
import { filterSwitch } from "./filter.ts";

export const volumePruneCommand = command({
  meta: {
    name: "prune",
    description: "Remove volumes that no container has",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
    notes: [{ heading: "Filters", text: `${labelFilterWords}, all (true: as --all)` }],
    examples: [
      { words: "gocker volume prune", does: "Those that were made for containers which are gone" },
      {
        words: "gocker volume prune -a --filter label!=keep",
        does: "Those that have a name too, but for labelled ones",
      },
    ],
  },
  flags: {
    all: { type: "boolean", alias: "a", description: "Those that have a name, too" },
    ...pruneFlags,
  },
  async run(invocation) {
    const { flags } = invocation;
    const [choices, properties] = separate(flags.filter);
    const all = flags.all || choices.some((text) => filterSwitch("all", text.slice("all=".length)));
    const isWanted = labelFilters<VolumeRecord>(properties, shownLabels);
    const what = all ? "all local volumes" : "anonymous local volumes";
    const warning = `WARNING! This will remove ${what} not used by at least one container.`;
    if (!flags.force && !(await confirm(warning))) return 0;
    const { names, reclaimed } = await pruneVolumes(
      openEngine(invocation.everywhere),
      (volume) => (all || volume.anonymous) && isWanted(volume),
    );
    writeOutput(deletedWords("Volumes", names));
    writeOutput(`Total reclaimed space: ${formatSize(reclaimed)}\n`);
    return 0;
  },
});

/** `all` says which volumes are meant at all; the others say what they are like. */
function separate(filters: readonly string[]): [choices: string[], properties: string[]] {
  const isChoice = (text: string) => text.startsWith("all=");
  return [filters.filter(isChoice), filters.filter((text) => !isChoice(text))];
}

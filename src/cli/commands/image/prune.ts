import { type PrunedImages, pruneImages } from "../../../engine/prune-images.ts";
import type { StoredImage } from "../../../image/stored-image.ts";
import { familiarReference, parseReference } from "../../../oci/reference.ts";
import { parseDate } from "../../../util/instant.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { confirm } from "../../output/confirm.ts";
import { ageAndLabelFilters, ageAndLabelFilterWords, deletedWords, pruneFlags } from "../../output/prune.ts";
import { formatSize } from "../../output/units.ts";
import { writeOutput } from "../../output/write.ts";
import { filterSwitch } from "../volume/filter.ts";

export const imagePruneCommand = command({
  meta: {
    name: "prune",
    description: "Remove images without a name, or all that no container has",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
    notes: [
      {
        heading: "Filters",
        text: `${ageAndLabelFilterWords}, dangling (false: as --all)`,
      },
    ],
    examples: [
      { words: "gocker image prune", does: "Those that have lost their names" },
      {
        words: "gocker image prune -af --filter until=240h",
        does: "Also those with names, when they are older than ten days",
      },
    ],
  },
  flags: {
    all: { type: "boolean", alias: "a", description: "Also those that have a name" },
    ...pruneFlags,
  },
  async run({ flags, everywhere }) {
    const choices = flags.filter.filter((text) => text.startsWith("dangling="));
    const all = flags.all || choices.some((text) => !filterSwitch("dangling", text.slice("dangling=".length)));
    const isWanted = imageFilter(flags.filter.filter((text) => !choices.includes(text)));
    const which = all ? "images without at least one container associated to them" : "dangling images";
    if (!flags.force && !(await confirm(`WARNING! This will remove all ${which}.`))) return 0;
    const pruned = await pruneImages(openEngine(everywhere), (image) => isPrunable(image, all) && isWanted(image));
    writeOutput(deletedImages(pruned));
    writeOutput(`Total reclaimed space: ${formatSize(pruned.reclaimed)}\n`);
    return 0;
  },
});

/** Whether an image that no container has may go: one without a name, or any. */
export function isPrunable({ references }: StoredImage, all: boolean): boolean {
  return all || references.length === 0;
}

/** @throws UsageError a filter is none */
export function imageFilter(texts: readonly string[]): (image: StoredImage) => boolean {
  return ageAndLabelFilters<StoredImage>(
    texts,
    ({ config }) => parseDate(config.created ?? ""),
    ({ config }) => config.config?.Labels ?? {},
  );
}

export function deletedImages({ untagged, deleted }: PrunedImages): string {
  return deletedWords("Images", [
    ...untagged.map((reference) => `untagged: ${familiarReference(parseReference(reference))}`),
    ...deleted.map((id) => `deleted: ${id}`),
  ]);
}

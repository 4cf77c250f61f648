import { type PrunedImages, pruneImages } from "../../../engine/prune-images.ts";
import type { StoredImage } from "../../../image/stored-image.ts";
import { familiarReference, parseReference } from "../../../oci/reference.ts";
import { parseDate } from "../../../util/instant.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { confirm } from "../../output/confirm.ts";
import { hasLabel, parseFilters } from "../../output/filter.ts";
import { formatSize } from "../../output/units.ts";
import { untilFilter } from "../../output/until-filter.ts";
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
        text: "until (made before that time, such as 24h), label, label! (does not have it), dangling (false: as --all)",
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
    filter: {
      type: "string",
      repeated: true,
      valueHint: "KEY=VALUE",
      description: "Only those to which this applies",
    },
    force: { type: "boolean", alias: "f", description: "Do not ask" },
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
  const labelsOf = ({ config }: StoredImage) => config.config?.Labels ?? {};
  return parseFilters<StoredImage>(texts, {
    until: untilFilter(({ config }: StoredImage) => parseDate(config.created ?? "")),
    label: (image, value) => hasLabel(labelsOf(image), value),
    "label!": (image, value) => !hasLabel(labelsOf(image), value),
  });
}

/** In docker's words, which scripts read. */
export function deletedImages({ untagged, deleted }: PrunedImages): string {
  if (untagged.length + deleted.length === 0) return "";
  const lines = [
    ...untagged.map((reference) => `untagged: ${familiarReference(parseReference(reference))}`),
    ...deleted.map((id) => `deleted: ${id}`),
  ];
  return `Deleted Images:\n${lines.join("\n")}\n\n`;
}

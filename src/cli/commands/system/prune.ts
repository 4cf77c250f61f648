import { shownLabels, type VolumeRecord } from "../../../container/volume-record.ts";
import { pruneContainers } from "../../../engine/prune-containers.ts";
import { pruneImages } from "../../../engine/prune-images.ts";
import { pruneNetworks } from "../../../engine/networks.ts";
import { pruneVolumes } from "../../../engine/volumes.ts";
import { UsageError } from "../../../util/errors.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { confirm } from "../../output/confirm.ts";
import { hasLabel, parseFilters } from "../../output/filter.ts";
import { formatSize } from "../../output/units.ts";
import { writeOutput } from "../../output/write.ts";
import { containerFilter } from "../container/prune.ts";
import { deletedNetworks, networkFilter } from "../network/prune.ts";
import { deletedImages, imageFilter, isPrunable } from "../image/prune.ts";

export const systemPruneCommand = command({
  meta: {
    name: "prune",
    description: "Remove stopped containers, and what no container has",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
    notes: [
      { heading: "Filters", text: "until (made before that time, such as 24h), label, label! (does not have it)" },
    ],
    examples: [
      { words: "gocker system prune", does: "Containers that have ended, and images that have lost their names" },
      {
        words: "gocker system prune -af --volumes",
        does: "Also unused images and volumes",
      },
    ],
  },
  flags: {
    all: { type: "boolean", alias: "a", description: "Also images that have a name" },
    volumes: { type: "boolean", description: "Also volumes without a name" },
    filter: {
      type: "string",
      repeated: true,
      valueHint: "KEY=VALUE",
      description: "Only those to which this applies",
    },
    force: { type: "boolean", alias: "f", description: "Do not ask" },
  },
  async run({ flags, everywhere }) {
    const { all, volumes, filter } = flags;
    if (volumes && filter.some((text) => text.startsWith("until="))) {
      throw new UsageError(
        "--filter until cannot be kept to with --volumes: nobody knows how long a volume was in use",
      );
    }
    const [isContainer, isImage, isNetwork] = [containerFilter(filter), imageFilter(filter), networkFilter(filter)];
    const isVolume = volumes ? volumeFilter(filter) : () => false;
    if (!flags.force && !(await confirm(warning(all, volumes)))) return 0;
    const context = openEngine(everywhere);
    const { ids, reclaimed } = await pruneContainers(context, isContainer);
    if (ids.length > 0) writeOutput(`Deleted Containers:\n${ids.map((id) => `${id}\n`).join("")}\n`);
    writeOutput(deletedNetworks(await pruneNetworks(context, isNetwork)));
    const gone = volumes ? await pruneVolumes(context, (volume) => volume.anonymous && isVolume(volume)) : undefined;
    if (gone !== undefined && gone.names.length > 0) {
      writeOutput(`Deleted Volumes:\n${gone.names.map((name) => `${name}\n`).join("")}\n`);
    }
    const images = await pruneImages(context, (image) => isPrunable(image, all) && isImage(image));
    writeOutput(deletedImages(images));
    writeOutput(`Total reclaimed space: ${formatSize(reclaimed + (gone?.reclaimed ?? 0) + images.reclaimed)}\n`);
    return 0;
  },
});

function volumeFilter(texts: readonly string[]): (volume: VolumeRecord) => boolean {
  return parseFilters<VolumeRecord>(texts, {
    label: (volume, value) => hasLabel(shownLabels(volume), value),
    "label!": (volume, value) => !hasLabel(shownLabels(volume), value),
  });
}

function warning(all: boolean, volumes: boolean): string {
  const what = [
    "all stopped containers",
    "all networks not used by at least one container",
    ...(volumes ? ["all anonymous volumes not used by at least one container"] : []),
    all ? "all images without at least one container associated to them" : "all dangling images",
  ];
  return `WARNING! This will remove:\n${what.map((line) => `  - ${line}\n`).join("")}`;
}

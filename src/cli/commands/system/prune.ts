import { shownLabels, type VolumeRecord } from "../../../container/volume-record.ts";
import { pruneContainers } from "../../../engine/prune-containers.ts";
import { pruneImages } from "../../../engine/prune-images.ts";
import { pruneNetworks } from "../../../engine/networks.ts";
import { pruneVolumes } from "../../../engine/volumes.ts";
import { UsageError } from "../../../util/errors.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { confirm } from "../../output/confirm.ts";
import { ageAndLabelFilterWords, deletedWords, labelFilters, pruneFlags } from "../../output/prune.ts";
import { formatSize } from "../../output/units.ts";
import { writeOutput } from "../../output/write.ts";
import { containerFilter } from "../container/prune.ts";
import { networkFilter } from "../network/prune.ts";
import { deletedImages, imageFilter, isPrunable } from "../image/prune.ts";

export const systemPruneCommand = command({
  meta: {
    name: "prune",
    description: "Remove stopped containers, and what no container has",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
    notes: [{ heading: "Filters", text: ageAndLabelFilterWords }],
    examples: [
      { words: "gocker system prune", does: "Containers that have ended, unused networks, and images without a name" },
      {
        words: "gocker system prune -af --volumes",
        does: "Also unused images and volumes",
      },
    ],
  },
  flags: {
    all: { type: "boolean", alias: "a", description: "Also images that have a name" },
    volumes: { type: "boolean", description: "Also volumes without a name" },
    ...pruneFlags,
  },
  async run({ flags, everywhere }) {
    const { all, volumes, filter } = flags;
    if (volumes && filter.some((text) => text.startsWith("until="))) {
      throw new UsageError(
        "--filter until cannot be kept to with --volumes: nobody knows how long a volume was in use",
      );
    }
    const [isContainer, isImage, isNetwork] = [containerFilter(filter), imageFilter(filter), networkFilter(filter)];
    const isVolume = volumes ? labelFilters<VolumeRecord>(filter, shownLabels) : () => false;
    if (!flags.force && !(await confirm(warning(all, volumes)))) return 0;
    const context = openEngine(everywhere);
    const { ids, reclaimed } = await pruneContainers(context, isContainer);
    writeOutput(deletedWords("Containers", ids));
    writeOutput(deletedWords("Networks", await pruneNetworks(context, isNetwork)));
    const gone = volumes ? await pruneVolumes(context, (volume) => volume.anonymous && isVolume(volume)) : undefined;
    writeOutput(deletedWords("Volumes", gone?.names ?? []));
    const images = await pruneImages(context, (image) => isPrunable(image, all) && isImage(image));
    writeOutput(deletedImages(images));
    writeOutput(`Total reclaimed space: ${formatSize(reclaimed + (gone?.reclaimed ?? 0) + images.reclaimed)}\n`);
    return 0;
  },
});

function warning(all: boolean, volumes: boolean): string {
  const what = [
    "all stopped containers",
    "all networks not used by at least one container",
    ...(volumes ? ["all anonymous volumes not used by at least one container"] : []),
    all ? "all images without at least one container associated to them" : "all dangling images",
  ];
  return `WARNING! This will remove:\n${what.map((line) => `  - ${line}\n`).join("")}`;
}

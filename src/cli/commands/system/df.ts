import { type Space, spaceOfAll } from "../../../engine/space.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { formatList, type ListLayout, type ListRecord } from "../../output/list.ts";
import { listFlags } from "../../output/list-flags.ts";
import { formatSize } from "../../output/units.ts";
import { writeOutput } from "../../output/write.ts";

const layout: ListLayout = {
  headings: { Type: "TYPE", TotalCount: "TOTAL", Active: "ACTIVE", Size: "SIZE", Reclaimable: "RECLAIMABLE" },
  columns: ["Type", "TotalCount", "Active", "Size", "Reclaimable"],
};

export const systemDfCommand = command({
  meta: {
    name: "df",
    description: "Show what images, containers and volumes take on the disk",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
    absent: new Set(["verbose", "v"]),
    examples: [{ words: "gocker system df --format json", does: "An object for each kind of things" }],
  },
  flags: { format: listFlags.format },
  async run({ flags, everywhere }) {
    const { images, containers, volumes } = await spaceOfAll(openEngine(everywhere));
    const records = [
      recordOf("Images", images),
      recordOf("Containers", containers),
      recordOf("Local Volumes", volumes),
    ];
    writeOutput(formatList(records, layout, flags.format || undefined));
    return 0;
  },
});

function recordOf(type: string, { total, active, size, reclaimable }: Space): ListRecord {
  const share = size === 0 ? "" : ` (${Math.floor((reclaimable / size) * 100)}%)`;
  return {
    Type: type,
    TotalCount: String(total),
    Active: String(active),
    Size: formatSize(size),
    Reclaimable: `${formatSize(reclaimable)}${share}`,
  };
}

import { type HistoryStep, imageHistory } from "../../engine/history.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { formatList, type ListLayout, type ListRecord } from "../output/list.ts";
import { listFlags } from "../output/list-flags.ts";
import { formatSize } from "../output/units.ts";
import { formatAgo, formatTime } from "../output/when.ts";
import { writeOutput } from "../output/write.ts";

const layout: ListLayout = {
  headings: {
    ID: "IMAGE",
    CreatedSince: "CREATED",
    CreatedAt: "CREATED AT",
    CreatedBy: "CREATED BY",
    Size: "SIZE",
    Comment: "COMMENT",
  },
  columns: ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"],
};

/** As long as docker shows a step. */
const widest = 45;

const { filter: _filter, ...shownFlags } = listFlags;

export const historyCommand = command({
  meta: {
    name: "history",
    description: "Show how an image was made",
    usage: "[OPTIONS] IMAGE",
    operands: { minimum: 1, maximum: 1 },
    absent: new Set(["platform"]),
    examples: [{ words: "gocker history --no-trunc --format '{{.CreatedBy}}' nginx", does: "Only the steps, whole" }],
  },
  flags: {
    human: {
      type: "enum",
      alias: "H",
      options: ["true", "false"],
      bare: "true",
      description: "Sizes and times for people (true)",
    },
    ...shownFlags,
  },
  async run({ flags, operands, everywhere }) {
    const [image = ""] = operands;
    const now = Date.now();
    const records = imageHistory(openEngine(everywhere), image).map((step) =>
      recordOf(step, { whole: flags["no-trunc"], human: flags.human !== "false", now }),
    );
    if (flags.quiet) writeOutput(records.map(({ ID }) => `${ID}\n`).join(""));
    else writeOutput(formatList(records, layout, flags.format || undefined));
    return 0;
  },
});

interface Showing {
  readonly whole: boolean;
  readonly human: boolean;
  readonly now: number;
}

function recordOf(step: HistoryStep, { whole, human, now }: Showing): ListRecord & { readonly ID: string } {
  const { id, created, createdBy, comment, size } = step;
  const short = id?.replace("sha256:", "").slice(0, 12);
  return {
    ID: (whole ? id : short) ?? "<missing>",
    CreatedSince: human ? formatAgo(created, now) : (created ?? ""),
    CreatedAt: human ? formatTime(created) : (created ?? ""),
    CreatedBy: whole ? createdBy : shortened(createdBy),
    Size: human ? formatSize(size) : String(size),
    Comment: comment,
  };
}

function shortened(text: string): string {
  const line = text.replaceAll("\t", " ");
  return line.length > widest ? `${line.slice(0, widest - 1)}…` : line;
}

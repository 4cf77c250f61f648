import { type ContainerUsage, containerStats } from "../../engine/stats.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { formatList, type ListLayout, type ListRecord } from "../output/list.ts";
import { canRedraw } from "../output/terminal.ts";
import { formatBinarySize, formatSize } from "../output/units.ts";
import { writeOutput } from "../output/write.ts";

/** Docker's fields and headings. */
const layout: ListLayout = {
  headings: {
    Container: "CONTAINER",
    ID: "CONTAINER ID",
    Name: "NAME",
    CPUPerc: "CPU %",
    MemUsage: "MEM USAGE / LIMIT",
    MemPerc: "MEM %",
    NetIO: "NET I/O",
    BlockIO: "BLOCK I/O",
    PIDs: "PIDS",
  },
  columns: ["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"],
};

/** Between two rounds, in milliseconds. */
const interval = 1000;

export const statsCommand = command({
  meta: {
    name: "stats",
    description: "Watch what containers use",
    usage: "[OPTIONS] [CONTAINER...]",
    operands: { minimum: 0, maximum: Number.POSITIVE_INFINITY },
    notes: [
      {
        heading: "Numbers",
        text:
          "100 % are one processor. Memory is without the pages of files that were not used for long; its limit is the " +
          "machine's memory when the container has none.",
      },
    ],
    examples: [
      { words: "gocker stats", does: "All that run, every second" },
      { words: "gocker stats --no-stream web", does: "Once, what it has used in a second" },
    ],
  },
  flags: {
    all: { type: "boolean", alias: "a", description: "Also those that do not run" },
    format: {
      type: "string",
      valueHint: "FORMAT",
      description: "Print a table, json (an object a line), by a template such as '{{.ID}}', or 'table TEMPLATE'",
    },
    "no-stream": { type: "boolean", description: "Print once, what was used in a second" },
    "no-trunc": { type: "boolean", description: "Cut nothing short" },
  },
  async run({ flags, operands, everywhere }) {
    const rounds = containerStats(openEngine(everywhere), { references: operands, all: flags.all, interval });
    const text = (round: readonly ContainerUsage[]) =>
      formatList(
        round.map((usage) => usageRecord(usage, flags["no-trunc"])),
        layout,
        flags.format || undefined,
      );
    if (flags["no-stream"]) {
      // How busy the processors are shows only in the second round; what has gone by then is shown as it was.
      const first = await rounds.next();
      const second = await rounds.next();
      writeOutput(text(second.value ?? first.value ?? []));
      await rounds.return(undefined);
      return 0;
    }
    const redraw = canRedraw(1);
    for await (const round of rounds) writeOutput(redraw ? inPlace(text(round)) : text(round));
    return 0;
  },
});

/** Over what was there before: each line and what is below the last one is wiped. ECMA-48: CUP, EL, ED */
function inPlace(text: string): string {
  return `\u001b[H${text.replaceAll("\n", "\u001b[K\n")}\u001b[J`;
}

function usageRecord({ id, name, reference, usage, processorShare }: ContainerUsage, whole: boolean): ListRecord {
  const percent = (share: number) => `${share.toFixed(2)}%`;
  const both = (first: number, second: number, format: (bytes: number) => string) =>
    `${format(first)} / ${format(second)}`;
  const { memory = 0, memoryLimit = 0, received = 0, sent = 0, read = 0, written = 0, processes = 0 } = usage ?? {};
  return {
    Container: reference,
    ID: whole ? id : id.slice(0, 12),
    Name: name,
    CPUPerc: percent(processorShare ?? 0),
    MemUsage: both(memory, memoryLimit, formatBinarySize),
    MemPerc: percent(memoryLimit === 0 ? 0 : (memory / memoryLimit) * 100),
    NetIO: both(received, sent, (bytes) => formatSize(bytes)),
    BlockIO: both(read, written, (bytes) => formatSize(bytes)),
    PIDs: String(processes),
  };
}

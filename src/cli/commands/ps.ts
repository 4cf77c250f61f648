import type { EngineContext } from "../../engine/context.ts";
import type { ContainerSizes } from "../../engine/inspect/facts.ts";
import { type ContainerSummary, listContainers, type ListTrouble, sizesOf } from "../../engine/ps.ts";
import { errorMessage, UsageError } from "../../util/errors.ts";
import { shortId } from "../../util/ids.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { formatList } from "../output/list.ts";
import { listFlags } from "../output/list-flags.ts";
import { harmless } from "../output/style.ts";
import { writeError, writeOutput } from "../output/write.ts";
import { containerFilter } from "./ps/filters.ts";
import { containerRecord, layout } from "./ps/record.ts";

export const psCommand = command({
  meta: {
    name: "ps",
    description: "List containers",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
    notes: [
      {
        heading: "Filters",
        text:
          "id (its beginning), name (a regular expression), ancestor (the image, or one that it was made of), status " +
          "(created, running, paused, restarting, exited, dead), exited (the code), health (starting, healthy, unhealthy, " +
          "none), label (KEY or KEY=VALUE), before and since (a container), volume (a name or a place in the container), " +
          "network, publish, expose (a port, or a range). Filters of different keys must all hold; of several for one " +
          "key one is enough, but labels must all be there.",
      },
      {
        heading: "Fields of templates",
        text:
          'ID, Image, Command, CreatedAt, RunningFor, Ports, State, Status, Size, Names, Labels, Label "KEY", Mounts, ' +
          "LocalVolumes, Networks",
      },
    ],
    examples: [
      { words: "gocker ps -a", does: "All containers, those that ended too" },
      { words: "gocker ps -a --format '{{.Names}}\\t{{.Status}}'", does: "Names and what became of them" },
      { words: "gocker ps -aq --filter status=exited", does: "IDs of those that ended" },
      { words: "gocker ps -as", does: "Also what they have written, which takes as long as to walk over it" },
    ],
  },
  flags: {
    all: { type: "boolean", alias: "a", description: "Also those that do not run" },
    last: { type: "string", alias: "n", valueHint: "NUMBER", description: "Only so many, the newest, running or not" },
    latest: { type: "boolean", alias: "l", description: "Only the newest, running or not" },
    size: { type: "boolean", alias: "s", description: "Also how much each has written" },
    ...listFlags,
  },
  async run(invocation) {
    const { flags } = invocation;
    const last = flags.latest ? 1 : readNumber(flags.last);
    const context = openEngine(invocation.everywhere);
    const troubles: ListTrouble[] = [];
    const containers = await listContainers(context, { all: true, onTrouble: (trouble) => troubles.push(trouble) });
    warnOf(troubles);
    const filter = containerFilter(flags.filter, containers, context);
    // To ask for a status is to ask for those that have it.
    const all = flags.all || last !== undefined || flags.filter.some((text) => /^(?:status|exited)=/.test(text));
    const shown = containers.filter((one) => (all || runs(one)) && filter(one)).slice(0, last);
    const format = flags.format || undefined;
    const hasSizes = !flags.quiet && (flags.size || asksForSizes(format));
    const now = Date.now();
    const records = [];
    for (const container of shown) {
      const sizes = hasSizes ? await sizesIfKnown(context, container) : undefined;
      records.push(containerRecord(container, { whole: flags["no-trunc"], now, sizes }));
    }
    const columns = flags.size ? [...layout.columns, "Size"] : layout.columns;
    writeOutput(
      flags.quiet ? records.map(({ ID }) => `${ID}\n`).join("") : formatList(records, { ...layout, columns }, format),
    );
    return 0;
  },
});

/** One line for all that are dead, and one for each of the others. */
function warnOf(troubles: readonly ListTrouble[]): void {
  const warn = (text: string) => writeError(`gocker: warning: ${harmless(text)}\n`);
  const dead = troubles.filter(({ kind }) => kind === "dead");
  const [first] = dead;
  if (first !== undefined) {
    const others = dead.length === 1 ? "" : `, and ${dead.length - 1} more`;
    warn(
      `${errorMessage(first.error)}${others}: \`gocker rm -f ${dead.map(({ id }) => shortId(id)).join(" ")}\` removes ${dead.length === 1 ? "it" : "them"}`,
    );
  }
  for (const { kind, id, error } of troubles) {
    if (kind === "left out") warn(`container ${shortId(id)} is left out: ${errorMessage(error)}`);
    if (kind === "unwritten") warn(`what became of container ${shortId(id)} is not on record: ${errorMessage(error)}`);
  }
}

function runs({ status }: ContainerSummary): boolean {
  return status === "running" || status === "paused" || status === "restarting";
}

/** `-1` is Docker's word for all of them. */
function readNumber(text: string | undefined): number | undefined {
  if (text === undefined || text === "-1") return undefined;
  if (!/^\d+$/.test(text)) throw new UsageError(`invalid --last ${JSON.stringify(text)}: it is not a number`);
  return Number(text);
}

/** Whether a template shows sizes, by itself or with everything: then they are wanted without `--size`. */
function asksForSizes(format: string | undefined): boolean {
  return format !== undefined && /\.Size\b|\bjson\s+[.$]\s*\}\}|\{\{\s*[.$]\s*\|\s*json/.test(format);
}

/** One container that cannot be measured does not keep the others from being shown. */
async function sizesIfKnown(context: EngineContext, container: ContainerSummary): Promise<ContainerSizes | undefined> {
  try {
    return await sizesOf(context, container);
  } catch (error) {
    const reason = harmless(errorMessage(error));
    writeError(`gocker: warning: the size of container ${container.id.slice(0, 12)} is not known: ${reason}\n`);
    return undefined;
  }
}

import { type ContainerSummary, listContainers } from "../../engine/ps.ts";
import { errorMessage, UsageError } from "../../util/errors.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { hasLabel, parseFilters } from "../output/filter.ts";
import { formatList, type ListLayout, type ListRecord } from "../output/list.ts";
import { listFlags } from "../output/list-flags.ts";
import { truncate } from "../output/table.ts";
import { formatAgo, formatLength, formatTime } from "../output/when.ts";
import { writeError, writeOutput } from "../output/write.ts";

/** Docker's fields and headings. */
const layout: ListLayout = {
  headings: {
    ID: "CONTAINER ID",
    Image: "IMAGE",
    Command: "COMMAND",
    CreatedAt: "CREATED AT",
    RunningFor: "CREATED",
    Status: "STATUS",
    State: "STATE",
    Ports: "PORTS",
    Names: "NAMES",
    Labels: "LABELS",
    Mounts: "MOUNTS",
    LocalVolumes: "LOCAL VOLUMES",
    Networks: "NETWORKS",
    Size: "SIZE",
  },
  columns: ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"],
};

const commandWidth = 20;
const mountWidth = 15;

export const psCommand = command({
  meta: {
    name: "ps",
    description: "List containers",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
    absent: new Set(["size", "s"]),
    notes: [
      {
        heading: "Filters",
        text: "id, name, ancestor (the image), status (created, running, exited), exited (the code), label",
      },
    ],
    examples: [
      { words: "gocker ps -a", does: "All containers, those that ended too" },
      { words: "gocker ps -a --format '{{.Names}}\\t{{.Status}}'", does: "Names and what became of them" },
      { words: "gocker ps -aq --filter status=exited", does: "IDs of those that ended" },
    ],
  },
  flags: {
    all: { type: "boolean", alias: "a", description: "Also those that do not run" },
    last: { type: "string", alias: "n", valueHint: "NUMBER", description: "Only so many, the newest, running or not" },
    latest: { type: "boolean", alias: "l", description: "Only the newest, running or not" },
    ...listFlags,
  },
  async run(invocation) {
    const { flags } = invocation;
    const last = flags.latest ? 1 : readNumber(flags.last);
    const filter = parseFilters<ContainerSummary>(flags.filter, {
      id: ({ id }, value) => id.startsWith(value),
      name: ({ name }, value) => name.includes(value.replace(/^\//, "")),
      ancestor: ({ image, imageId }, value) =>
        image === value || imageId.replace("sha256:", "").startsWith(value.replace("sha256:", "")),
      status: ({ state }, value) => state.status === value,
      exited: ({ state }, value) => state.status === "exited" && String(state.exitCode) === value,
      label: ({ labels }, value) => hasLabel(labels, value),
    });
    const context = openEngine(invocation.everywhere);
    // To ask for a status is to ask for those that have it.
    const all = flags.all || last !== undefined || flags.filter.some((text) => /^(?:status|exited)=/.test(text));
    const onBroken = (id: string, error: unknown) => {
      writeError(`gocker: warning: container ${id.slice(0, 12)} is left out: ${errorMessage(error)}\n`);
    };
    const containers = (await listContainers(context, { all, onBroken })).filter(filter).slice(0, last);
    const now = Date.now();
    const records = containers.map((container) => containerRecord(container, flags["no-trunc"], now));
    writeOutput(
      flags.quiet
        ? records.map(({ ID }) => `${ID}\n`).join("")
        : formatList(records, layout, flags.format || undefined),
    );
    return 0;
  },
});

/** `-1` is Docker's word for all of them. */
function readNumber(text: string | undefined): number | undefined {
  if (text === undefined || text === "-1") return undefined;
  if (!/^\d+$/.test(text)) throw new UsageError(`invalid --last ${JSON.stringify(text)}: it is not a number`);
  return Number(text);
}

function containerRecord(
  container: ContainerSummary,
  whole: boolean,
  now: number,
): ListRecord & { readonly ID: string } {
  const { id, name, image, created, labels, mounts, state } = container;
  const cut = (text: string, width: number) => (whole ? text : truncate(text, width));
  return {
    ID: whole ? id : id.slice(0, 12),
    Image: image,
    Command: JSON.stringify(cut(container.command.join(" "), commandWidth)),
    CreatedAt: formatTime(created),
    RunningFor: formatAgo(created, now),
    Status: status(state, now),
    State: state.status,
    Ports: "",
    Names: name,
    Labels: Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    Mounts: mounts.map((mount) => cut(mount.name ?? mount.source ?? mount.type, mountWidth)).join(","),
    LocalVolumes: String(mounts.filter(({ type }) => type === "volume").length),
    Networks: "",
    Size: "",
  };
}

function status({ status: what, startedAt, finishedAt, exitCode }: ContainerSummary["state"], now: number): string {
  if (what === "running") return `Up ${formatLength(startedAt, now) ?? ""}`.trimEnd();
  if (what === "created") return "Created";
  return `Exited (${exitCode ?? "?"}) ${formatAgo(finishedAt, now)}`;
}

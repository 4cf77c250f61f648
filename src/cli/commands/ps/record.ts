import type { ContainerSizes } from "../../../engine/inspect/facts.ts";
import type { ContainerSummary } from "../../../engine/ps.ts";
import { familiarReference, InvalidReferenceError, parseReference } from "../../../oci/reference.ts";
import { portsText } from "./ports.ts";
import type { ListLayout, ListMethod } from "../../output/list.ts";
import { truncate } from "../../output/table.ts";
import { formatSize } from "../../output/units.ts";
import { formatAgo, formatLength, formatTime } from "../../output/when.ts";

/** Docker's fields and headings. */
export const layout: ListLayout = {
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
    Label: (key) => (key.split(".").at(-1) ?? "").replace(/[-_]/g, " "),
    Mounts: "MOUNTS",
    LocalVolumes: "LOCAL VOLUMES",
    Networks: "NETWORKS",
    Size: "SIZE",
  },
  columns: ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"],
};

const commandWidth = 20;
const mountWidth = 15;

export interface RecordOptions {
  /** Nothing is cut short. */
  readonly whole: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly sizes?: ContainerSizes | undefined;
}

/** What `ps` says of a container, in the order in which Docker's JSON has it. */
export function containerRecord(container: ContainerSummary, { whole, now, sizes }: RecordOptions) {
  const { id, name, created, labels, mounts, status } = container;
  const cut = (text: string, width: number) => (whole ? text : truncate(text, width));
  const label: ListMethod = (key) => (Object.hasOwn(labels, key) ? (labels[key] ?? "") : "");
  return {
    Command: JSON.stringify(cut(commandText(container.command), commandWidth)),
    CreatedAt: formatTime(created),
    ID: whole ? id : id.slice(0, 12),
    Image: whole ? container.image : imageName(container),
    Label: label,
    Labels: Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .sort()
      .join(","),
    LocalVolumes: String(mounts.filter(({ type }) => type === "volume").length),
    Mounts: mounts
      .map((mount) => mount.name ?? mount.source ?? "")
      .filter((text) => text !== "")
      .map((text) => cut(text, mountWidth))
      .join(","),
    Names: name,
    Networks: container.networks.join(","),
    Ports: portsText(container),
    RunningFor: formatAgo(created, now),
    Size: sizes === undefined ? formatSize(0) : sizeText(sizes),
    State: status,
    Status: statusText(container, now),
  };
}

/** As Docker writes a command on one line: words with blanks in quotes. */
function commandText([program = "", ...words]: readonly string[]): string {
  return [program, ...words.map((word) => (word.includes(" ") ? `'${word}'` : word))].join(" ");
}

/** The image's name without what a short list has no room for: most of an ID, a digest, the usual registry. */
function imageName({ image, imageId }: ContainerSummary): string {
  const id = imageId.replace("sha256:", "");
  if (/^(?:sha256:)?[0-9a-f]+$/.test(image) && id.startsWith(image.replace("sha256:", ""))) return id.slice(0, 12);
  if (!image.includes("@") && !image.startsWith("docker.io/")) return image;
  try {
    const { digest: _digest, ...reference } = parseReference(image);
    return familiarReference(reference);
  } catch (error) {
    if (error instanceof InvalidReferenceError) return image;
    throw error;
  }
}

function sizeText({ written, whole }: ContainerSizes): string {
  return `${formatSize(written)} (virtual ${formatSize(whole)})`;
}

/** Docker's words for where a container is in its life. */
export function statusText({ status, state }: ContainerSummary, now: number): string {
  const { startedAt, finishedAt, exitCode = "?" } = state;
  switch (status) {
    case "created":
      return "Created";
    case "exited":
      return `Exited (${exitCode}) ${formatAgo(finishedAt, now)}`;
    case "dead":
      return "Dead";
    case "restarting":
      return `Restarting (${exitCode}) ${formatAgo(finishedAt, now)}`;
    default: {
      const health = state.health?.status === "starting" ? "health: starting" : state.health?.status;
      const remark = status === "paused" ? "Paused" : health;
      return `Up ${formatLength(startedAt, now) ?? ""}${remark === undefined ? "" : ` (${remark})`}`.trimEnd();
    }
  }
}

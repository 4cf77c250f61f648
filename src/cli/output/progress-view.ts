import type { LayerState, ProgressModel } from "./progress-model.ts";
import type { Style } from "./style.ts";
import { padEnd, padStart, truncate } from "./table.ts";
import type { TerminalSize } from "./terminal.ts";
import { count, formatDuration, formatSize } from "./units.ts";

const idWidth = 12;
const phaseWidth = 11;
const amountWidth = 19;
/** A bar is no longer than this, and left out when there is no room for the shorter one. */
const bar = { longest: 40, shortest: 8 };

const phaseWords: Readonly<Record<LayerState["phase"], string>> = {
  pending: "pending",
  waiting: "waiting",
  downloading: "downloading",
  unpacking: "unpacking",
  retrying: "retrying",
  done: "done",
  exists: "exists",
};

/** Which layers are shown when there is not room for all: those at which something happens. */
const importance: Readonly<Record<LayerState["phase"], number>> = {
  unpacking: 0,
  retrying: 0,
  downloading: 0,
  waiting: 1,
  pending: 2,
  done: 3,
  exists: 3,
};

/**
 * The lines of a picture of the pull, none wider than the terminal and not more than its rows: one bar per layer
 * (how much has arrived, and how much of that is unpacked) and the sum of all.
 * @param elapsed since the pull began, in milliseconds
 */
export function progressLines(model: ProgressModel, size: TerminalSize, style: Style, elapsed: number): string[] {
  // The last cell of a row is left free: some terminals wrap when it is written.
  const width = size.columns - 1;
  // One row is the cursor's, one the sum's.
  const room = size.rows - 2;
  const lines = layerLines(model.layers, room, width, style);
  return [...lines, style.dim(truncate(sumLine(model, elapsed), width))];
}

/** A line for each layer, or for the most important ones and the number of the others. */
function layerLines(states: readonly LayerState[], room: number, width: number, style: Style): string[] {
  if (states.length <= room) return states.map((state) => layerLine(state, width, style));
  if (room < 1) return [];
  const ranked = states.toSorted((a, b) => importance[a.phase] - importance[b.phase]);
  const shown = new Set(ranked.slice(0, Math.max(1, room - 1)));
  const lines = states.filter((state) => shown.has(state)).map((state) => layerLine(state, width, style));
  const hidden = states.filter((state) => !shown.has(state));
  return room < 2 ? lines : [...lines, style.dim(truncate(hiddenLine(hidden), width))];
}

function layerLine(state: LayerState, width: number, style: Style): string {
  const { layer, phase } = state;
  const id = shortDigest(layer.digest);
  const word = padEnd(phaseWords[phase], phaseWidth);
  const amount = padStart(amountOf(state), amountWidth);
  const ready = phase === "done" || phase === "exists";
  const barWidth = Math.min(bar.longest, width - idWidth - phaseWidth - amountWidth - 8);
  const colour = ready ? style.green : phase === "retrying" ? style.yellow : style.cyan;
  if (barWidth < bar.shortest) return truncate(`${id}  ${word.trimEnd()}  ${amount.trim()}`, width);
  return `  ${id}  ${colour(word)}  ${drawBar(state, barWidth, style)}  ${amount}`;
}

/** Three kinds of cells: unpacked, arrived, to come. They differ in form too, for those who see no colour. */
function drawBar({ layer, downloaded, unpacked, phase }: LayerState, width: number, style: Style): string {
  const cells = (bytes: number) => Math.min(width, Math.floor((bytes / Math.max(1, layer.size)) * width));
  const full = phase === "done" || phase === "exists";
  const done = full ? width : cells(unpacked);
  const arrived = full ? width : Math.max(done, cells(downloaded));
  return (
    style.green("━".repeat(done)) + style.cyan("╍".repeat(arrived - done)) + style.dim("·".repeat(width - arrived))
  );
}

function amountOf({ layer, downloaded, unpacked, phase }: LayerState): string {
  const all = formatSize(layer.size, " ");
  if (phase === "downloading" || phase === "retrying") return `${formatSize(downloaded, " ")} / ${all}`;
  return phase === "unpacking" ? `${formatSize(unpacked, " ")} / ${all}` : all;
}

function hiddenLine(hidden: readonly LayerState[]): string {
  const ready = hidden.filter(({ phase }) => phase === "done" || phase === "exists").length;
  const rest = hidden.length - ready;
  const parts = [ready > 0 ? `${ready} ready` : "", rest > 0 ? `${rest} to come` : ""].filter((part) => part !== "");
  return `  and ${hidden.length} more: ${parts.join(", ")}`;
}

function sumLine(model: ProgressModel, elapsed: number): string {
  const { ready, layers, downloaded, size } = model.totals();
  if (layers === 0) return "  asking the registry";
  if (model.recording) return `  ${count(layers, "layer")} ready, bringing them onto the disk`;
  const parts = [`${ready} of ${count(layers, "layer")}`, `${formatSize(downloaded, " ")} of ${formatSize(size, " ")}`];
  const speed = downloaded / Math.max(elapsed, 1); // bytes per millisecond
  // Before half a second the speed is a guess.
  if (elapsed >= 500 && downloaded > 0) {
    parts.push(`${formatSize(speed * 1000, " ")}/s`);
    if (downloaded < size) parts.push(`${formatDuration((size - downloaded) / speed)} left`);
  }
  return `  ${parts.join(", ")}`;
}

/** The beginning of a digest's hexadecimal digits, as people see it. */
export function shortDigest(digest: string): string {
  return digest.slice(digest.indexOf(":") + 1).slice(0, idWidth);
}

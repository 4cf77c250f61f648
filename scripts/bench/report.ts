import type { Row } from "./alternate.ts";
import type { MemoryRow } from "./idle-memory.ts";
import type { Machine } from "./machine.ts";
import type { Summary } from "./statistics.ts";

/** The rows of one question; the first one is gocker's, with which the others are compared. */
export interface Section {
  readonly title: string;
  readonly rows: readonly Row[];
  /** How much each run has carried; rows tell their rate then. */
  readonly bytes?: number;
  /** What the rows say together. */
  readonly remarks?: readonly string[];
}

/** The memory that is kept; the first row is gocker's here too. */
export interface MemorySection {
  readonly title: string;
  readonly memory: readonly MemoryRow[];
}

/** What goes through; {@link problem} instead when it does not work on this machine. */
export interface RateRow {
  readonly name: string;
  readonly bytesPerSecond?: Summary;
  readonly problem?: string;
}

/** How much goes through; the first row is gocker's here too. */
export interface RateSection {
  readonly title: string;
  readonly rates: readonly RateRow[];
}

export interface Report {
  readonly machine: Machine;
  /** The load average when everything was done. */
  readonly loadAfter: number;
  readonly sections: readonly (Section | MemorySection | RateSection)[];
}

/** How long a row takes for each unit of time that gocker takes: above 1, gocker is faster. */
function ratioOf(row: Row, section: Section): number | undefined {
  const gocker = section.rows[0]?.wall?.median;
  return row.wall === undefined || gocker === undefined ? undefined : row.wall.median / gocker;
}

function memoryRatioOf({ bytes }: MemoryRow, { memory }: MemorySection): number | undefined {
  const gocker = memory[0]?.bytes?.median;
  return bytes === undefined || gocker === undefined ? undefined : bytes.median / gocker;
}

/** Above 1, more goes through gocker's. */
function rateRatioOf({ bytesPerSecond }: RateRow, { rates }: RateSection): number | undefined {
  const gocker = rates[0]?.bytesPerSecond?.median;
  return bytesPerSecond === undefined || gocker === undefined ? undefined : gocker / bytesPerSecond.median;
}

/** Bytes per second. */
function rateOf({ wall }: Row, { bytes }: Section): number | undefined {
  return wall === undefined || bytes === undefined ? undefined : (bytes / wall.median) * 1000;
}

/** The report with the ratios, for other programs. */
export function reportAsJson({ sections, ...rest }: Report): string {
  const withRatios = sections.map((section) => {
    const { title } = section;
    if ("memory" in section) {
      return { title, memory: section.memory.map((row) => ({ ...row, ratio: memoryRatioOf(row, section) })) };
    }
    if ("rates" in section) {
      return { title, rates: section.rates.map((row) => ({ ...row, ratio: rateRatioOf(row, section) })) };
    }
    const rows = section.rows.map((row) => ({
      ...row,
      ratio: ratioOf(row, section),
      bytesPerSecond: rateOf(row, section),
    }));
    return { title, rows, remarks: section.remarks };
  });
  return JSON.stringify({ ...rest, sections: withRatios }, undefined, 2);
}

export function reportAsText({ machine, loadAfter, sections }: Report): string {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  const dynmods = machine.favordynmods ? " (favordynmods)" : "";
  const lines = [
    `Linux ${machine.kernel} ${machine.architecture}, ${machine.cores} × ${machine.processor}, ` +
      `${(machine.memoryBytes / 2 ** 30).toFixed(0)} GiB, cgroups ${machine.cgroups}${dynmods}`,
    versions.join(", "),
    `load average ${machine.load} before, ${loadAfter} after`,
  ];
  for (const section of sections) {
    if ("memory" in section) lines.push("", ...memoryLines(section));
    else if ("rates" in section) lines.push("", ...rateLines(section));
    else lines.push("", ...sectionLines(section));
  }
  return lines.join("\n");
}

function sectionLines(section: Section): string[] {
  const runs = Math.max(...section.rows.map((row) => row.runs));
  const rate = section.bytes === undefined ? [] : ["rate"];
  const header = ["", "median", "min", "mad", "cpu", "peak", ...rate, "× gocker"];
  return [
    `${section.title} (${runs} runs)`,
    ...table(
      header,
      section.rows.map((row) => cellsOf(row, section)),
    ),
    ...(section.remarks ?? []),
  ];
}

function rateLines(section: RateSection): string[] {
  const cells = section.rates.map((row) => {
    if (row.bytesPerSecond === undefined) return [row.name, `failed: ${row.problem ?? "nothing was measured"}`];
    const { median, minimum, deviation } = row.bytesPerSecond;
    const gigabits = [median, minimum, deviation].map((rate) => `${((rate * 8) / 1e9).toFixed(1)} Gbit/s`);
    return [row.name, ...gigabits, rateRatioOf(row, section)?.toFixed(2) ?? ""];
  });
  return [section.title, ...table(["", "median", "min", "mad", "gocker ×"], cells)];
}

function memoryLines(section: MemorySection): string[] {
  const cells = section.memory.map((row) => {
    if (row.bytes === undefined) return [row.name, `failed: ${row.problem ?? "nothing was measured"}`];
    const { median, minimum, deviation } = row.bytes;
    const ratio = memoryRatioOf(row, section);
    return [row.name, kibibytes(median), kibibytes(minimum), kibibytes(deviation), ratio?.toFixed(2) ?? ""];
  });
  return [section.title, ...table(["", "median", "min", "mad", "× gocker"], cells)];
}

/** The first column is aligned to the left; a row with fewer cells than the header does not widen the columns. */
function table(header: readonly string[], cells: readonly (readonly string[])[]): string[] {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...cells.map((row) => (row.length === header.length ? (row[column] ?? "").length : 0))),
  );
  const nameWidth = Math.max(...cells.map(([name = ""]) => name.length));
  const format = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(nameWidth) : cell.padStart(widths[column] ?? 0)))
      .join("  ")
      .trimEnd();
  return [format(header), ...cells.map(format)];
}

function cellsOf(row: Row, section: Section): string[] {
  if (row.wall === undefined || row.cpu === undefined) return [row.name, `failed: ${row.problem ?? "no run"}`];
  const ratio = ratioOf(row, section);
  const rate = rateOf(row, section);
  return [
    row.name,
    duration(row.wall.median),
    duration(row.wall.minimum),
    duration(row.wall.deviation),
    duration(row.cpu.median),
    row.peakBytes === undefined ? "" : `${(row.peakBytes / 2 ** 20).toFixed(0)} MiB`,
    ...(rate === undefined ? [] : [`${(rate / 1e6).toFixed(0)} MB/s`]),
    ratio === undefined ? "" : ratio.toFixed(2),
  ];
}

function kibibytes(bytes: number): string {
  return `${(bytes / 2 ** 10).toFixed(0)} KiB`;
}

function duration(milliseconds: number): string {
  return milliseconds >= 1000 ? `${(milliseconds / 1000).toFixed(2)} s` : `${milliseconds.toFixed(1)} ms`;
}

import type { Row } from "./alternate.ts";
import type { Machine } from "./machine.ts";

/** The rows of one question; the first one is gocker's, with which the others are compared. */
export interface Section {
  readonly title: string;
  readonly rows: readonly Row[];
}

export interface Report {
  readonly machine: Machine;
  /** The load average when everything was done. */
  readonly loadAfter: number;
  readonly sections: readonly Section[];
}

/** How long a row takes for each unit of time that gocker takes: above 1, gocker is faster. */
function ratioOf(row: Row, section: Section): number | undefined {
  const gocker = section.rows[0]?.wall?.median;
  return row.wall === undefined || gocker === undefined ? undefined : row.wall.median / gocker;
}

/** The report with the ratios, for other programs. */
export function reportAsJson({ sections, ...rest }: Report): string {
  const withRatios = sections.map((section) => ({
    title: section.title,
    rows: section.rows.map((row) => ({ ...row, ratio: ratioOf(row, section) })),
  }));
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
  for (const section of sections) lines.push("", ...sectionLines(section));
  return lines.join("\n");
}

function sectionLines(section: Section): string[] {
  const runs = Math.max(...section.rows.map((row) => row.runs));
  const header = ["", "median", "min", "mad", "cpu", "peak", "× gocker"];
  const cells = section.rows.map((row) => cellsOf(row, section));
  const widths = header.map((title, column) =>
    Math.max(title.length, ...cells.map((row) => (row.length === header.length ? (row[column] ?? "").length : 0))),
  );
  const nameWidth = Math.max(...section.rows.map(({ name }) => name.length));
  const format = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(nameWidth) : cell.padStart(widths[column] ?? 0)))
      .join("  ")
      .trimEnd();
  return [`${section.title} (${runs} runs)`, format(header), ...cells.map(format)];
}

function cellsOf(row: Row, section: Section): string[] {
  if (row.wall === undefined || row.cpu === undefined) return [row.name, `failed: ${row.problem ?? "no run"}`];
  const ratio = ratioOf(row, section);
  return [
    row.name,
    duration(row.wall.median),
    duration(row.wall.minimum),
    duration(row.wall.deviation),
    duration(row.cpu.median),
    row.peakBytes === undefined ? "" : `${(row.peakBytes / 2 ** 20).toFixed(0)} MiB`,
    ratio === undefined ? "" : ratio.toFixed(2),
  ];
}

function duration(milliseconds: number): string {
  return milliseconds >= 1000 ? `${(milliseconds / 1000).toFixed(2)} s` : `${milliseconds.toFixed(1)} ms`;
}

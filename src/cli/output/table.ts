/** A column's cells are at least this wide, and this far apart: Docker's lists. */
const minimumWidth = 10;
const gap = 3;

/**
 * Lines of cells in columns, as Docker prints its tables: every cell but a line's last is filled up with blanks to
 * its column's width. One line feed ends every line.
 * @param least how wide a column is at least
 */
export function formatTable(rows: readonly (readonly string[])[], least = minimumWidth): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.slice(0, -1).entries()) {
      widths[index] = Math.max(widths[index] ?? least, Bun.stringWidth(cell) + gap);
    }
  }
  return rows.map((row) => `${formatRow(row, widths)}\n`).join("");
}

function formatRow(row: readonly string[], widths: readonly number[]): string {
  return row
    .map((cell, index) => (index === row.length - 1 ? cell : padEnd(cell, widths[index] ?? minimumWidth)))
    .join("");
}

/** Fills text up to a width in character cells. */
export function padEnd(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - Bun.stringWidth(text)));
}

/** Fills text up to a width in character cells, in front. */
export function padStart(text: string, width: number): string {
  return " ".repeat(Math.max(0, width - Bun.stringWidth(text))) + text;
}

/** Cuts text to a width in character cells; what is cut ends in an ellipsis. */
export function truncate(text: string, width: number): string {
  // Nearly all text, for which measuring each character costs more than all else that a list does.
  if (/^[ -~]*$/.test(text)) return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
  if (Bun.stringWidth(text) <= width) return text;
  let cut = "";
  let used = 0;
  for (const character of text) {
    used += Bun.stringWidth(character);
    if (used > width - 1) break;
    cut += character;
  }
  return `${cut}…`;
}

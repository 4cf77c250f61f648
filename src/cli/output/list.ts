import { formatTable } from "./table.ts";
import { harmless } from "./style.ts";
import { parseTemplate } from "./template.ts";

/** What a listing command has to say of one thing, by the field names that `--format` uses. All of Docker's are texts. */
export type ListRecord = Readonly<Record<string, string>>;

/** How a listing command shows its records. */
export interface ListLayout {
  /** Field to heading, for every field that a table may be asked for. */
  readonly headings: Readonly<Record<string, string>>;
  /** The fields of the ordinary table, from left to right. */
  readonly columns: readonly string[];
}

/**
 * The text of a list, by Docker's `--format`: nothing or `table` for the ordinary table, `table TEMPLATE` for one of
 * those columns, `json` for one object a line, else a template for each record.
 *
 * @throws {UsageError} the template is wrong
 */
export function formatList(records: readonly ListRecord[], layout: ListLayout, format = "table"): string {
  const kind = format.trim();
  if (kind === "json") return records.map((record) => `${JSON.stringify(record)}\n`).join("");
  if (kind === "table") {
    const heading = layout.columns.map((field) => layout.headings[field] ?? field.toUpperCase());
    return formatTable([heading, ...records.map((record) => layout.columns.map((field) => safe(record[field])))]);
  }
  const table = /^table\s/.test(kind);
  const template = parseTemplate(table ? kind.slice("table".length).trim() : format);
  if (!table) return records.map((record) => `${template(record)}\n`).join("");
  return formatTable([layout.headings, ...records.map(safeRecord)].map((record) => template(record).split("\t")));
}

function safeRecord(record: ListRecord): ListRecord {
  return Object.fromEntries(Object.entries(record).map(([field, value]) => [field, safe(value)]));
}

/** A value that the terminal shall only show. `json` and templates without a table are for programs, which get it unchanged. */
function safe(text = ""): string {
  return harmless(text);
}

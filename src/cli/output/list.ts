import { formatTable } from "./table.ts";
import { harmless } from "./style.ts";
import { parseTemplate } from "./template.ts";

/** What a listing command has to say of one thing, by the field names that `--format` uses. All of Docker's are texts. */
export type ListRecord = Readonly<Record<string, string>>;

/** What a template may ask of a record with a word, such as `{{.Label "key"}}`. JSON has no such things. */
export type ListMethod = (word: string) => string;

type RecordWithMethods = Readonly<Record<string, string | ListMethod>>;

/** How a listing command shows its records. */
export interface ListLayout {
  /** Field to heading, for every field that a table may be asked for. */
  readonly headings: RecordWithMethods;
  /** The fields of the ordinary table, from left to right. */
  readonly columns: readonly string[];
}

/**
 * The text of a list, by Docker's `--format`: nothing or `table` for the ordinary table, `table TEMPLATE` for one of
 * those columns, `json` for one object a line, else a template for each record.
 *
 * @throws {UsageError} the template is wrong
 */
export function formatList(records: readonly RecordWithMethods[], layout: ListLayout, format = "table"): string {
  const kind = format.trim();
  if (kind === "json") return records.map((record) => `${JSON.stringify(record)}\n`).join("");
  if (kind === "table") {
    const heading = layout.columns.map((field) => textOf(layout.headings, field) ?? field.toUpperCase());
    const rows = records.map((record) => layout.columns.map((field) => harmless(textOf(record, field) ?? "")));
    return formatTable([heading, ...rows]);
  }
  const table = /^table\s/.test(kind);
  const template = parseTemplate(table ? kind.slice("table".length).trim() : format);
  if (!table) return records.map((record) => `${template(record)}\n`).join("");
  const lines = [template.heading(layout.headings), ...records.map((record) => template(harmlessRecord(record)))];
  return formatTable(lines.map((line) => line.split("\t")));
}

function textOf(record: RecordWithMethods, field: string): string | undefined {
  const value = record[field];
  return typeof value === "string" ? value : undefined;
}

/**
 * A record whose values the terminal shall only show. `json` and templates without a table are for programs, which get
 * them unchanged.
 */
function harmlessRecord(record: RecordWithMethods): RecordWithMethods {
  const entries = Object.entries(record).map(([field, value]) => {
    return [field, typeof value === "string" ? harmless(value) : (word: string) => harmless(value(word))] as const;
  });
  return Object.fromEntries(entries);
}

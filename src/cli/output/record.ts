import { parseTemplate } from "./template.ts";

/** The text of one record by `--format`: JSON on one line, or a template's; `otherwise` when no format is asked for. */
export function formatRecord(record: object, format: string | undefined, otherwise: () => string): string {
  if (format === undefined || format === "") return otherwise();
  return format.trim() === "json" ? `${JSON.stringify(record)}\n` : `${parseTemplate(format)(record)}\n`;
}

/** Lines of a name, a colon and a value, the values in one column. */
export function formatProperties(properties: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...properties.map(([name]) => name.length)) + 1;
  return properties.map(([name, value]) => `${`${name}:`.padEnd(width)} ${value}`.trimEnd() + "\n").join("");
}

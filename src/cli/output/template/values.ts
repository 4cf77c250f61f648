import { Dictionary } from "../../../util/document.ts";
import { stringifyExact } from "../../../util/exact-json.ts";

/**
 * The values of templates, as `util/document.ts` describes them, and two kinds more: `undefined` is no value at all (Go
 * prints `<no value>`), and a function that a structure has is a method.
 */
export type Structure = Readonly<Record<string, unknown>>;

/** A map of any kind, by names. */
export type Entries = ReadonlyMap<string, unknown>;

/** The values of a structure's fields, in their order. */
export function fieldValues(structure: Structure): unknown[] {
  return Object.values(structure).filter((value) => typeof value !== "function");
}

export function isStructure(value: unknown): value is Structure {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Map);
}

export function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

export function isMap(value: unknown): value is Entries {
  return value instanceof Map;
}

/** The entries of a map by the order of their names, as Go goes through them. */
export function sortedEntries(map: Entries): [string, unknown][] {
  return [...map].sort(([one], [other]) => (one < other ? -1 : 1));
}

/** What Go would call the type, for messages. */
export function typeName(value: unknown): string {
  if (value === undefined) return "interface {}";
  if (value === null) return "nil pointer";
  if (isList(value)) return "[]interface {}";
  if (isMap(value)) return "map[string]interface {}";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float64";
  if (typeof value === "boolean") return "bool";
  return typeof value === "string" ? "string" : "structure";
}

/** Whether `if` takes it for true. Go's text/template, "Actions": false, 0, nil, and what is empty are not. */
export function isTrue(value: unknown): boolean {
  if (isList(value)) return value.length > 0;
  if (isMap(value)) return value.size > 0;
  return typeof value === "object" ? value !== null : Boolean(value);
}

/** A value as an action prints it. */
export function printed(value: unknown): string {
  return value === undefined ? "<no value>" : formatted(value);
}

/** A value as Go's `%v` prints it. */
export function formatted(value: unknown): string {
  if (value === undefined || value === null) return "<nil>";
  if (isList(value)) return `[${value.map(formatted).join(" ")}]`;
  if (isMap(value))
    return `map[${sortedEntries(value)
      .map(([name, entry]) => `${name}:${formatted(entry)}`)
      .join(" ")}]`;
  if (isStructure(value)) return `{${fieldValues(value).map(formatted).join(" ")}}`;
  if (typeof value === "number") return formatNumber(value);
  return typeof value === "string" ? value : stringifyExact(value);
}

/** Go's `%v` of a float64 has an exponent of two digits from 1e+21 on. */
function formatNumber(value: number): string {
  return String(value).replace(/e([+-])(\d)$/, "e$10$2");
}

/**
 * A document as it is when it has gone through JSON: maps all through, without what JSON leaves out. Docker looks there
 * for what its structures do not have.
 */
export function throughJson(document: unknown): unknown {
  return fromJson(JSON.parse(JSON.stringify(document)));
}

function fromJson(value: unknown): unknown {
  if (value === null) return undefined;
  if (isList(value)) return value.map(fromJson);
  if (!isStructure(value)) return value;
  return new Dictionary(
    Object.entries(value).map(([name, entry]) => [name, fromJson(entry)] as const),
    undefined,
  );
}

import { InvalidDocumentError } from "../util/errors.ts";

/** A JSON object of which nothing is known yet. */
export type JsonObject = Record<string, unknown>;

/**
 * Reads a document whose outermost value is an object.
 *
 * @param what the document's name in errors, such as "the manifest".
 * @throws InvalidDocumentError when the bytes are not UTF-8, not JSON, or no object.
 */
export function parseJsonObject(bytes: Uint8Array, what: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new InvalidDocumentError(`${what} is not JSON`, { cause: error });
  }
  return asObject(value, what);
}

/** Go writes `null` for what is empty: the specification's optional values are read as absent then. */
export function optional<Value>(value: unknown, read: (value: unknown) => Value): Value | undefined {
  return value === undefined || value === null ? undefined : read(value);
}

/** @throws InvalidDocumentError unless `value` is an object. */
export function asObject(value: unknown, what: string): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new InvalidDocumentError(`${what} must be an object, not ${kindOf(value)}`);
}

/** @throws InvalidDocumentError unless `value` is an array. */
export function asArray(value: unknown, what: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw new InvalidDocumentError(`${what} must be an array, not ${kindOf(value)}`);
}

/** @throws InvalidDocumentError unless `value` is a string. */
export function asString(value: unknown, what: string): string {
  if (typeof value === "string") return value;
  throw new InvalidDocumentError(`${what} must be a string, not ${kindOf(value)}`);
}

/** @throws InvalidDocumentError unless `value` is an array of strings. */
export function asStrings(value: unknown, what: string): string[] {
  return asArray(value, what).map((entry, index) => asString(entry, `${what}[${index}]`));
}

/** @throws InvalidDocumentError unless `value` is an object of strings. */
export function asStringMap(value: unknown, what: string): Record<string, string> {
  const entries = Object.entries(asObject(value, what));
  return Object.fromEntries(entries.map(([key, entry]) => [key, asString(entry, `${what}[${JSON.stringify(key)}]`)]));
}

/** What a value is, in the words of an error. */
export function kindOf(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** Leaves keys out whose value is undefined, as `exactOptionalPropertyTypes` wants it. */
export function withoutUndefined<Value extends object>(value: { [Key in keyof Value]: Value[Key] | undefined }): Value {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as Value;
}

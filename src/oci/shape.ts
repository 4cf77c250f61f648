import { InvalidDocumentError } from "../util/errors.ts";
import { kindOf } from "./json.ts";

/**
 * Checks a value of a document and gives it back, without what is `null` in it: Go writes that for what is absent. What
 * a shape does not know stays as it is, since newer versions of a standard add properties.
 * @param path of the value in the document, for messages
 * @returns undefined for what counts as absent
 * @throws InvalidDocumentError
 */
export type Shape = (value: unknown, path: string) => unknown;

function refuse(path: string, value: unknown, expected: string): never {
  const found = typeof value === "string" || typeof value === "number" ? quoted(value) : kindOf(value);
  throw new InvalidDocumentError(`${path} is ${found}: expected ${expected}`);
}

/** So much of a value as a message has room for. */
function quoted(value: string | number): string {
  const most = 64;
  if (typeof value === "number" || value.length <= most) return JSON.stringify(value);
  return `${JSON.stringify(value.slice(0, most))}… (${value.length} characters)`;
}

/** A text that the kernel can take. */
export const text: Shape = (value, path) => {
  if (typeof value !== "string") refuse(path, value, "a text");
  return withoutNul(value, path);
};

function withoutNul(value: string, path: string): string {
  if (value.includes("\0")) throw new InvalidDocumentError(`${path} holds a NUL character`);
  return value;
}

/**
 * A text for which an empty one stands for none: programs write both.
 * @param most bytes that it may have in UTF-8
 */
export function optionalText(most = Number.POSITIVE_INFINITY): Shape {
  return (value, path) => {
    const checked = text(value, path) as string;
    return checked === "" ? undefined : atMost(checked, path, most);
  };
}

/** As the kernel counts it, the NUL at the end is one of its 4096. path_resolution(7), PATH_MAX of limits.h */
const longestPath = 4095;

function atMost(value: string, path: string, most: number): string {
  // No UTF-16 unit is more than three bytes of UTF-8: nearly nothing has to be counted.
  if (value.length * 3 <= most || Buffer.byteLength(value) <= most) return value;
  throw new InvalidDocumentError(`${path} has ${Buffer.byteLength(value)} bytes: the kernel takes ${most}`);
}

/** A path that is given: absolute or relative to whatever its property is. */
export const anyPath: Shape = (value, where) => {
  const checked = text(value, where) as string;
  return checked === "" ? refuse(where, value, "a path") : atMost(checked, where, longestPath);
};

/** A path for which an empty one stands for none. */
export const optionalPath: Shape = optionalText(longestPath);

/**
 * An entry of an environment: a name, `=`, a value. No message tells what it holds, which may be secret. environ(7)
 */
export const variable: Shape = (value, where) => {
  if (typeof value !== "string") throw new InvalidDocumentError(`${where} is ${kindOf(value)}: expected NAME=VALUE`);
  const equals = withoutNul(value, where).indexOf("=");
  if (equals > 0) return value;
  throw new InvalidDocumentError(`${where} has no ${equals < 0 ? "= after its name" : "name before its ="}`);
};

export const boolean: Shape = (value, path) =>
  typeof value === "boolean" ? value : refuse(path, value, "true or false");

/** A whole number in a range; larger ones than a number holds exactly are rounded (RLIM_INFINITY and its like). */
export function integer(least: number, most: number): Shape {
  return (value, path) => {
    const number = typeof value === "bigint" ? Number(value) : value;
    if (typeof number === "number" && Number.isInteger(number) && number >= least && number <= most) return number;
    return refuse(path, value, `a whole number from ${least} to ${most}`);
  };
}

/** An unsigned 64-bit number: a bigint where a number cannot hold it exactly. */
export const exactNumber: Shape = (value, path) => {
  if (typeof value === "bigint" && value >= 0n && value < 2n ** 64n) return value;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  return refuse(path, value, "an unsigned 64-bit number");
};

export function oneOf(...words: readonly string[]): Shape {
  return (value, path) =>
    typeof value === "string" && words.includes(value) ? value : refuse(path, value, `one of ${words.join(", ")}`);
}

export const absolutePath: Shape = (value, where) => {
  const checked = text(value, where) as string;
  return checked.startsWith("/") ? atMost(checked, where, longestPath) : refuse(where, checked, "an absolute path");
};

export function listOf(shape: Shape): Shape {
  return (value, path) => {
    if (!Array.isArray(value)) return refuse(path, value, "a list");
    return value.map((entry: unknown, index) => shape(entry, `${path}[${index}]`));
  };
}

export function mapOf(shape: Shape): Shape {
  return (value, path) => {
    const entries = Object.entries(asRecord(value, path)).filter(([, entry]) => entry !== null);
    return Object.fromEntries(
      entries.map(([key, entry]) => [withoutNul(key, `a name in ${path}`), shape(entry, `${path}.${key}`)]),
    );
  };
}

/**
 * An object.
 * @param required which of its properties must be there
 */
export function object(shapes: Readonly<Record<string, Shape>>, required: readonly string[] = []): Shape {
  return (value, path) => {
    const entries: [string, unknown][] = [];
    for (const [key, entry] of Object.entries(asRecord(value, path))) {
      if (entry === null) continue;
      const shape = Object.hasOwn(shapes, key) ? shapes[key] : undefined;
      const where = join(path, key);
      const checked = shape === undefined ? withoutExactNumbers(entry, where) : shape(entry, where);
      if (checked !== undefined) entries.push([key, checked]);
    }
    // Never by assignment: that takes an entry named __proto__ for the prototype, whose properties nothing has checked.
    const result: Record<string, unknown> = Object.fromEntries(entries);
    for (const key of required) {
      if (result[key] === undefined) throw new InvalidDocumentError(`${join(path, key)} is missing`);
    }
    return result;
  };
}

/** Both, one after the other. */
export function and(first: Shape, second: (value: never, path: string) => void): Shape {
  return (value, path) => {
    const checked = first(value, path);
    second(checked as never, path);
    return checked;
  };
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function asRecord(value: unknown, path: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  return refuse(path === "" ? "the document" : path, value, "an object");
}

/** Far more than any standard has, and far less than what the stack of any caller holds. */
const deepest = 500;

/** Numbers of which nothing is known become plain ones, and what is null goes. */
function withoutExactNumbers(value: unknown, path: string, depth = 0): unknown {
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= deepest) throw new InvalidDocumentError(`${path} is nested too deeply: at most ${deepest} levels`);
  if (Array.isArray(value)) return value.map((entry) => withoutExactNumbers(entry, path, depth + 1));
  const entries = Object.entries(value).filter(([, entry]) => entry !== null);
  return Object.fromEntries(entries.map(([key, entry]) => [key, withoutExactNumbers(entry, path, depth + 1)]));
}

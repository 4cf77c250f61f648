import { InvalidDocumentError } from "../util/errors.ts";
import { kindOf } from "./json.ts";

/**
 * Checks a value of a document and gives it back, without what is `null` in it: Go writes that for what is absent. What
 * a shape does not know stays as it is, since newer versions of a standard add properties.
 * @param path of the value in the document, for messages
 * @throws InvalidDocumentError
 */
export type Shape = (value: unknown, path: string) => unknown;

function refuse(path: string, value: unknown, expected: string): never {
  const found = typeof value === "string" || typeof value === "number" ? JSON.stringify(value) : kindOf(value);
  throw new InvalidDocumentError(`${path} is ${found}: expected ${expected}`);
}

/** A text that the kernel can take. */
export const text: Shape = (value, path) => {
  if (typeof value !== "string") refuse(path, value, "a text");
  if (value.includes("\0")) throw new InvalidDocumentError(`${path} holds a NUL character`);
  return value;
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

export const absolutePath: Shape = (value, path) => {
  const checked = text(value, path) as string;
  return checked.startsWith("/") ? checked : refuse(path, checked, "an absolute path");
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
    return Object.fromEntries(entries.map(([key, entry]) => [key, shape(entry, `${path}.${key}`)]));
  };
}

/**
 * An object.
 * @param required which of its properties must be there
 */
export function object(shapes: Readonly<Record<string, Shape>>, required: readonly string[] = []): Shape {
  return (value, path) => {
    const entries = Object.entries(asRecord(value, path)).filter(([, entry]) => entry !== null);
    // Never by assignment: that takes an entry named __proto__ for the prototype, whose properties nothing has checked.
    const result: Record<string, unknown> = Object.fromEntries(
      entries.map(([key, entry]) => {
        const shape = Object.hasOwn(shapes, key) ? shapes[key] : undefined;
        return [key, shape === undefined ? withoutExactNumbers(entry) : shape(entry, join(path, key))];
      }),
    );
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

/** Numbers of which nothing is known become plain ones, and what is null goes. */
function withoutExactNumbers(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(withoutExactNumbers);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, entry]) => entry !== null);
  return Object.fromEntries(entries.map(([key, entry]) => [key, withoutExactNumbers(entry)]));
}

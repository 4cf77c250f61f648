import { stringifyExact } from "../../../util/exact-json.ts";
import { Dictionary } from "../../../util/document.ts";
import { equalsAny, isLess } from "./comparisons.ts";
import { sprintf } from "./printf.ts";
import { formatted, isList, isMap, isTrue, printed, typeName } from "./values.ts";

/** What a function takes in one place. */
export type Parameter = "any" | "string" | "int" | "strings";

/** A function of templates. What it throws is told as what went wrong in the call. */
export interface TemplateFunction {
  readonly parameters: readonly Parameter[];
  /** Any number of further arguments of any kind. */
  readonly isVariadic?: boolean;
  call(...values: readonly unknown[]): unknown;
}

const text = (change: (value: string) => string): TemplateFunction => ({
  parameters: ["string"],
  call: (value) => change(value as string),
});

const variadic = (
  parameters: readonly Parameter[],
  call: (first: unknown, ...others: readonly unknown[]) => unknown,
): TemplateFunction => ({ parameters, isVariadic: true, call });

/** Of nothing at all these say what an action does that prints it. */
const escaping = (escape: (value: string) => string): TemplateFunction =>
  variadic([], (...values) => escape(print(values.map((value) => (value === undefined ? printed(value) : value)))));

const comparison = (holds: (one: unknown, other: unknown) => boolean): TemplateFunction => ({
  parameters: ["any", "any"],
  call: holds,
});

/**
 * The functions of Go's text/template, apart from `call`, for which there is nothing to be called, and those that
 * Docker adds (`json` and what stands after it). `and` and `or` are here for their names: they do not look at their
 * later arguments when an earlier one decides, and so are the evaluator's.
 */
export const functions: ReadonlyMap<string, TemplateFunction> = new Map(
  Object.entries<TemplateFunction>({
    and: variadic(["any"], (first, ...others) => [first, ...others].find((value) => !isTrue(value)) ?? others.at(-1)),
    or: variadic(["any"], (first, ...others) => [first, ...others].find(isTrue) ?? others.at(-1)),
    not: { parameters: ["any"], call: (value) => !isTrue(value) },
    len: { parameters: ["any"], call: lengthOf },
    index: variadic(["any"], (value, ...keys) => keys.reduce(item, value)),
    slice: variadic(["any"], slice),
    print: variadic([], (...values) => print(values)),
    printf: variadic(["string"], (format, ...values) => sprintf(format as string, values)),
    println: variadic([], (...values) => `${values.map(formatted).join(" ")}\n`),
    html: escaping(escapeHtml),
    js: escaping(escapeScript),
    urlquery: escaping(escapeQuery),
    eq: variadic(["any"], (first, ...others) => equalsAny(first, others)),
    ne: comparison((one, other) => !equalsAny(one, [other])),
    lt: comparison(isLess),
    le: comparison((one, other) => isLess(one, other) || equalsAny(one, [other])),
    gt: comparison((one, other) => !isLess(one, other) && !equalsAny(one, [other])),
    ge: comparison((one, other) => !isLess(one, other)),

    json: { parameters: ["any"], call: (value) => stringifyExact(value ?? null) },
    split: { parameters: ["string", "string"], call: (value, by) => (value as string).split(by as string) },
    join: { parameters: ["strings", "string"], call: (list, by) => (list as string[]).join(by as string) },
    title: text((value) => value.replace(/(?<![\p{L}\p{N}_])\p{L}/gu, (letter) => letter.toUpperCase())),
    lower: text((value) => value.toLowerCase()),
    upper: text((value) => value.toUpperCase()),
    pad: {
      parameters: ["string", "int", "int"],
      call: (value, before, after) =>
        value === "" ? "" : `${" ".repeat(before as number)}${value as string}${" ".repeat(after as number)}`,
    },
    truncate: {
      parameters: ["string", "int"],
      call: (value, length) =>
        Array.from(value as string)
          .slice(0, length as number)
          .join(""),
    },
  }),
);

const same: TemplateFunction = { parameters: ["any"], isVariadic: true, call: (value) => value };

/** What the functions are for the heading of a column: what changes a value leaves its heading as it is. */
export const headingFunctions: ReadonlyMap<string, TemplateFunction> = new Map([
  ...functions,
  ...["json", "split", "join", "title", "lower", "upper", "truncate"].map((name) => [name, same] as const),
]);

function lengthOf(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (isList(value)) return value.length;
  if (isMap(value)) return value.size;
  if (value === undefined) throw new Error("len of nil pointer");
  throw new Error(`len of type ${typeName(value)}`);
}

function item(value: unknown, key: unknown): unknown {
  if (value === undefined || value === null) throw new Error("index of untyped nil");
  if (isMap(value)) {
    if (typeof key !== "string") throw new Error(`value has type ${typeName(key)}; should be string`);
    const zero = value instanceof Dictionary ? value.zero : undefined;
    return value.has(key) ? value.get(key) : zero;
  }
  if (!isList(value) && typeof value !== "string") throw new Error(`can't index item of type ${typeName(value)}`);
  const list = typeof value === "string" ? Buffer.from(value) : value;
  return list[position(key, list.length - 1)];
}

function position(key: unknown, last: number): number {
  if (typeof key !== "number" || !Number.isInteger(key)) {
    throw new Error(`cannot index slice/array with type ${typeName(key)}`);
  }
  if (key < 0 || key > last) throw new Error(`index out of range: ${key}`);
  return key;
}

function slice(value: unknown, ...bounds: readonly unknown[]): unknown {
  if (bounds.length > 3) throw new Error(`too many slice indexes: ${bounds.length}`);
  if (typeof value !== "string" && !isList(value)) throw new Error(`can't slice item of type ${typeName(value)}`);
  const whole = typeof value === "string" ? Buffer.from(value) : value;
  if (typeof value === "string" && bounds.length > 2) throw new Error("cannot 3-index slice a string");
  const [start = 0, end = whole.length] = bounds.map((bound) => position(bound, whole.length));
  if (start > end) throw new Error(`invalid slice index: ${start} > ${end}`);
  const part = whole.slice(start, end);
  return typeof value === "string" ? Buffer.from(part as Uint8Array).toString() : part;
}

/** Go's `fmt.Sprint`: a blank between two values neither of which is a text. */
function print(values: readonly unknown[]): string {
  let line = "";
  for (const [index, value] of values.entries()) {
    const isApart = index > 0 && typeof value !== "string" && typeof values[index - 1] !== "string";
    line += `${isApart ? " " : ""}${formatted(value)}`;
  }
  return line;
}

const htmlEscapes: Readonly<Record<string, string>> = {
  "\0": "\uFFFD",
  '"': "&#34;",
  "'": "&#39;",
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
};

function escapeHtml(value: string): string {
  return value.replace(/[\0"'&<>]/g, (letter) => htmlEscapes[letter] ?? letter);
}

function escapeScript(value: string): string {
  return value.replace(/[\\'"<>&=\p{Cc}]/gu, (letter) => {
    if (letter === "\\" || letter === "'" || letter === '"') return `\\${letter}`;
    return `\\u${letter.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  });
}

/** Go's `url.QueryEscape`. */
function escapeQuery(value: string): string {
  const escaped = encodeURIComponent(value).replace(
    /[!'()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return escaped.replaceAll("%20", "+");
}

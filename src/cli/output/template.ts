import { UsageError } from "../../util/errors.ts";

/** A template that has been read: gives its text for a value. */
export type Template = (value: unknown) => string;

type Expression = (value: unknown) => unknown;

/**
 * Reads a template of `--format`: the part of Go's text/template that Docker's users write. Fields (`{{.ID}}`,
 * `{{.Platform.OS}}`), the value itself (`{{.}}`), strings, functions (`{{json .}}`, `{{upper .Names}}`) and pipes
 * (`{{.Names | upper}}`), trimming of blanks (`{{- … -}}`), and `\t` and `\n` for tabulator and line feed.
 *
 * @throws {UsageError} it is not of that form; a field that a value does not have is one when the template is used
 */
export function parseTemplate(text: string): Template {
  const parts: Expression[] = [];
  let rest = text.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
  let trimNext = false;
  const literal = (piece: string) => {
    if (piece !== "") parts.push(() => piece);
  };
  while (rest !== "") {
    const open = rest.indexOf("{{");
    if (open < 0) {
      literal(trimNext ? rest.trimStart() : rest);
      break;
    }
    const close = closingBraces(rest, open + 2);
    if (close < 0) throw wrong(text, "an action that begins with {{ does not end with }}");
    let action = rest.slice(open + 2, close);
    let before = rest.slice(0, open);
    if (trimNext) before = before.trimStart();
    if (/^-\s/.test(action)) {
      before = before.trimEnd();
      action = action.slice(1);
    }
    trimNext = /\s-$/.test(action);
    if (trimNext) action = action.slice(0, -1);
    literal(before);
    if (!/^\s*\/\*[^]*\*\/\s*$/.test(action)) parts.push(parsePipeline(action, text));
    rest = rest.slice(close + 2);
  }
  return (value) => parts.map((part) => show(part(value))).join("");
}

/** Where the action that begins at `from` has its `}}`, strings skipped; -1 when nowhere. */
function closingBraces(text: string, from: number): number {
  let quote = "";
  for (let index = from; index < text.length; index++) {
    const character = text.charAt(index);
    if (quote !== "") {
      if (character === "\\" && quote === '"') index += 1;
      else if (character === quote) quote = "";
    } else if (character === '"' || character === "`") quote = character;
    else if (text.startsWith("}}", index)) return index;
  }
  return -1;
}

/** Go's functions that make sense for lists of containers and images, with the value of the pipe as last argument. */
const functions: Readonly<Record<string, (...values: unknown[]) => unknown>> = {
  json: (value) => JSON.stringify(value),
  upper: (value) => show(value).toUpperCase(),
  lower: (value) => show(value).toLowerCase(),
  title: (value) => show(value).replace(/(?<!\S)\S/g, (letter) => letter.toUpperCase()),
  join: (list, separator) => (Array.isArray(list) ? list.map(show).join(show(separator ?? "")) : show(list)),
  split: (text, separator) => show(text).split(show(separator)),
  println: (...values) => `${values.map(show).join(" ")}\n`,
  print: (...values) => values.map(show).join(""),
  len: (value) => (Array.isArray(value) ? value.length : Buffer.byteLength(show(value))),
  truncate: (text, length) => Array.from(show(text)).slice(0, Number(length)).join(""),
};

const token =
  /\s*(?:(\||\(|\))|("(?:[^"\\]|\\.)*")|`([^`]*)`|(-?\d+)|((?:\.[\p{L}_][\p{L}\p{N}_]*)+|\.)|([\p{L}_]\w*))/uy;

type Token =
  | { readonly kind: "mark" | "function"; readonly text: string }
  | { readonly kind: "value"; readonly text: string; readonly value: Expression };

function parsePipeline(action: string, template: string): Expression {
  const commands: Token[][] = [[]];
  for (const item of tokenize(action, template)) {
    if (item.kind !== "mark") commands.at(-1)?.push(item);
    else if (item.text === "|") commands.push([]);
    else throw wrong(template, "parentheses are not supported");
  }
  const [first = [], ...others] = commands;
  return others.reduce(
    (piped, command) => parseCommand(command, piped, template),
    parseCommand(first, undefined, template),
  );
}

function parseCommand(command: readonly Token[], piped: Expression | undefined, template: string): Expression {
  const [first, ...rest] = command;
  if (first === undefined) throw wrong(template, "an action or a part of a pipe is empty");
  if (first.kind === "value") {
    if (rest.length > 0 || piped !== undefined) throw wrong(template, `${first.text} is no function`);
    return first.value;
  }
  const called = functions[first.text];
  if (called === undefined || !Object.hasOwn(functions, first.text)) {
    const known = Object.keys(functions).join(", ");
    throw wrong(template, `there is no function ${first.text} (there are ${known})`);
  }
  const values = rest.map((item) => {
    if (item.kind === "value") return item.value;
    throw wrong(template, `${item.text} cannot be an argument`);
  });
  if (piped !== undefined) values.push(piped);
  if (values.length === 0) throw wrong(template, `${first.text} needs an argument`);
  return (value) => called(...values.map((one) => one(value)));
}

function tokenize(action: string, template: string): Token[] {
  const tokens: Token[] = [];
  token.lastIndex = 0;
  while (action.slice(token.lastIndex).trim() !== "") {
    const at = token.lastIndex;
    const match = token.exec(action);
    if (match === null) throw wrong(template, `cannot read ${JSON.stringify(action.slice(at).trim())}`);
    const [, mark, quoted, raw, number, field, word] = match;
    if (mark !== undefined) tokens.push({ kind: "mark", text: mark });
    else if (word !== undefined) tokens.push({ kind: "function", text: word });
    else if (field !== undefined) tokens.push({ kind: "value", text: field, value: fieldReader(field, template) });
    else tokens.push({ kind: "value", text: match[0].trim(), value: constant(quoted, raw, number, template) });
  }
  return tokens;
}

function constant(
  quoted: string | undefined,
  raw: string | undefined,
  number: string | undefined,
  template: string,
): Expression {
  let value: unknown = raw ?? Number(number);
  if (quoted !== undefined) {
    try {
      value = JSON.parse(quoted);
    } catch {
      throw wrong(template, `cannot read the string ${quoted}`);
    }
  }
  return () => value;
}

/** Reads `.A.B` of a value. A field that it does not have is a mistake of the template. */
function fieldReader(path: string, template: string): Expression {
  const names = path.split(".").filter((name) => name !== "");
  return (value) => {
    let current = value;
    for (const name of names) {
      if (typeof current !== "object" || current === null || !Object.hasOwn(current, name)) {
        const known = typeof current === "object" && current !== null ? Object.keys(current) : [];
        const list = known.length === 0 ? "" : ` (there are ${known.join(", ")})`;
        throw wrong(template, `there is no field .${name}${list}`);
      }
      current = (current as Record<string, unknown>)[name];
    }
    return current;
  };
}

function show(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (Array.isArray(value)) return `[${value.map(show).join(" ")}]`;
  if (typeof value === "object") {
    const entries = Object.entries(value).map(([key, entry]) => `${key}:${show(entry)}`);
    return `map[${entries.join(" ")}]`;
  }
  return typeof value === "string" ? value : JSON.stringify(value);
}

function wrong(template: string, reason: string): UsageError {
  return new UsageError(`--format ${JSON.stringify(template)}: ${reason}`, {
    hint: "templates look like '{{.ID}}\\t{{.Names}}', 'table {{.ID}}\\t{{.Names}}' or '{{json .}}'; or say --format json",
  });
}

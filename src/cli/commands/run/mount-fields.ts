import { UsageError } from "../../../util/errors.ts";
import { nearestNames } from "../../../util/nearest.ts";
import { alternatives } from "../../flags.ts";

const otherNames: Readonly<Record<string, string>> = {
  src: "source",
  dst: "target",
  destination: "target",
  ro: "readonly",
};

/** Keys that mean true when they stand alone. */
const switches = new Set(["readonly", "bind-nonrecursive", "bind-create-src", "volume-nocopy"]);

/** The fields of one value of `--mount`: `key=value` with commas between them, as a line of CSV. */
export class MountFields {
  readonly #text: string;
  readonly #values = new Map<string, string[]>();

  /** @throws {UsageError} it is not of that form, or a key is none of `known` */
  constructor(text: string, known: readonly string[]) {
    this.#text = text;
    for (const field of this.#split()) {
      const [key, value] = this.#read(field, known);
      this.#values.set(key, [...(this.#values.get(key) ?? []), value]);
    }
  }

  get keys(): Iterable<string> {
    return this.#values.keys();
  }

  /** The last value of a key. */
  get(key: string): string | undefined {
    return this.#values.get(key)?.at(-1);
  }

  /** All values of a key. */
  all(key: string): readonly string[] {
    return this.#values.get(key) ?? [];
  }

  /** @throws {UsageError} the value is neither true nor false */
  isSet(key: string): boolean {
    const value = this.get(key) ?? "false";
    if (/^(?:1|t|T|true|TRUE|True)$/.test(value)) return true;
    if (/^(?:0|f|F|false|FALSE|False)$/.test(value)) return false;
    throw this.wrong(`${key} is true or false, not ${JSON.stringify(value)}`);
  }

  /** @throws {UsageError} the value is none of those */
  oneOf<Value extends string>(key: string, value: string, allowed: readonly Value[]): Value {
    const found = allowed.find((one) => one === value.toLowerCase());
    if (found === undefined) throw this.wrong(`${key} is ${alternatives(allowed)}, not ${JSON.stringify(value)}`);
    return found;
  }

  /** The error that says what is wrong with the flag's value. */
  wrong(reason: string, options: { readonly hint?: string; readonly cause?: unknown } = {}): UsageError {
    return new UsageError(`invalid --mount ${JSON.stringify(this.#text)}: ${reason}`, {
      hint: "it looks like type=bind,source=/host/directory,target=/in/container,readonly",
      ...options,
    });
  }

  #read(field: string, known: readonly string[]): [key: string, value: string] {
    const equals = field.indexOf("=");
    const given = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const key = (Object.hasOwn(otherNames, given) ? otherNames[given] : undefined) ?? given;
    if (!known.includes(key)) {
      if (equals < 0) throw this.wrong(`the field ${JSON.stringify(field)} is not of the form key=value`);
      const near = nearestNames(key, [...known, ...Object.keys(otherNames)]);
      const advice = near.length === 0 ? "" : `; did you mean ${alternatives(near)}?`;
      throw this.wrong(`there is no key ${JSON.stringify(given)}${advice}`);
    }
    if (equals < 0 && !switches.has(key)) throw this.wrong(`${key} needs a value`);
    return [key, equals < 0 ? "true" : field.slice(equals + 1)];
  }

  /** With Go's rules of CSV: a field in double quotes may hold commas and doubled quotes. */
  #split(): string[] {
    const fields: string[] = [];
    const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
    for (;;) {
      const match = field.exec(this.#text);
      if (match === null) throw this.wrong("a quote stands where none may, or is not closed");
      const [, quoted, plain = "", end] = match;
      fields.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
      if (end === "") return fields;
    }
  }
}

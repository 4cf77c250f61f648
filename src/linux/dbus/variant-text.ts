import { InvalidDocumentError } from "../../util/errors.ts";
import type { DbusValue, DbusVariant } from "./marshal.ts";
import { type DbusType, parseSignature } from "./signature.ts";

/** The words that may stand before a value to say its type. GLib, "GVariant Text Format", "Type Annotations" */
const keywords: Readonly<Record<string, string>> = {
  boolean: "b",
  byte: "y",
  int16: "n",
  uint16: "q",
  int32: "i",
  uint32: "u",
  int64: "x",
  uint64: "t",
  double: "d",
  string: "s",
  objectpath: "o",
  signature: "g",
};

/** Bits of each type of integers, negative for those with a sign. */
const widths: Readonly<Record<string, number>> = { y: 8, n: -16, q: 16, i: -32, u: 32, x: -64, t: 64 };

const escapes: Readonly<Record<string, string>> = { a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" };

const deepest = 32;

/**
 * A value with its type from text, as GLib writes it: `'text'`, `true`, `5` (an int32), `1.5`, `uint64 5`,
 * `['a', 'b']`, `('a', 1)`, `@a(ss) []`. Dictionaries, variants and strings of bytes are left out.
 * @throws InvalidDocumentError it is none
 */
export function parseVariantText(text: string): DbusVariant {
  const reader = new TextReader(text);
  const value = reader.value(undefined, 0);
  reader.end();
  return value;
}

class TextReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  end(): void {
    if (this.#take(/\s*$/y) === undefined) throw this.#wrong("nothing after the value");
  }

  /** @param type what it has to be; undefined: what it looks like */
  value(type: DbusType | undefined, depth: number): DbusVariant {
    if (depth > deepest) throw this.#wrong("a value that is not as deep");
    this.#take(/\s+/y);
    const [, signature] = this.#take(/@([a-z()]+)/y) ?? [];
    if (signature !== undefined) {
      const [only, ...more] = parseSignature(signature);
      if (only === undefined || more.length > 0) throw this.#wrong("one type");
      return this.value(only, depth + 1);
    }
    const [, keyword] = this.#take(/([a-z]+[0-9]*)(?=\s+\S)/y) ?? [];
    if (keyword !== undefined) {
      const code = Object.hasOwn(keywords, keyword) ? keywords[keyword] : undefined;
      if (code === undefined) throw this.#wrong("a type or a value");
      return this.value({ code } as DbusType, depth + 1);
    }
    if (this.#take(/\[/y)) return this.#array(type, depth);
    if (this.#take(/\(/y)) return this.#tuple(type, depth);
    return this.#basic(type);
  }

  #array(type: DbusType | undefined, depth: number): DbusVariant {
    if (type !== undefined && type.code !== "a") throw this.#wrong(formatType(type));
    let element = type?.element;
    const values: DbusValue[] = [];
    for (const item of this.#items("]", () => this.value(element, depth + 1))) {
      element ??= parseSignature(item.signature)[0];
      values.push(item.value);
    }
    if (element === undefined) throw this.#wrong("a type, such as @as, before an empty list");
    return { signature: `a${formatType(element)}`, value: values };
  }

  #tuple(type: DbusType | undefined, depth: number): DbusVariant {
    if (type !== undefined && type.code !== "(") throw this.#wrong(formatType(type));
    let index = 0;
    const fields = [...this.#items(")", () => this.value(type?.fields[index++], depth + 1))];
    if (fields.length === 0 || (type !== undefined && type.fields.length !== fields.length)) {
      throw this.#wrong("as many fields as its type has");
    }
    return {
      signature: `(${fields.map(({ signature }) => signature).join("")})`,
      value: fields.map(({ value }) => value),
    };
  }

  *#items(end: "]" | ")", read: () => DbusVariant): Generator<DbusVariant> {
    const close = end === "]" ? /\s*\]/y : /\s*\)/y;
    if (this.#take(close)) return;
    for (;;) {
      yield read();
      if (this.#take(close)) return;
      if (!this.#take(/\s*,/y)) throw this.#wrong(`a comma or ${end}`);
      // A tuple of one field has a comma after it.
      if (this.#take(close)) return;
    }
  }

  #basic(type: DbusType | undefined): DbusVariant {
    const [quoted] = this.#take(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/sy) ?? [];
    if (quoted !== undefined) return { signature: this.#oneOf(type, "sog"), value: unescape(quoted) };
    const [word] = this.#take(/true|false/y) ?? [];
    if (word !== undefined) return { signature: this.#oneOf(type, "b"), value: word === "true" };
    const [number] = this.#take(/[+-]?(?:0x[0-9a-fA-F]+|[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)/y) ?? [];
    if (number === undefined) throw this.#wrong("a value");
    const isWhole = /^[+-]?(?:0x[0-9a-fA-F]+|[0-9]+)$/.test(number);
    const signature = isWhole ? this.#oneOf(type, "iynquxtd") : this.#oneOf(type, "d");
    return { signature, value: signature === "d" ? Number(number) : this.#integer(number, signature) };
  }

  #integer(text: string, code: string): number | bigint {
    const isNegative = text.startsWith("-");
    const digits = text.replace(/^[+-]/, "");
    // A leading zero stands for octal digits, as in Go and C.
    if (/^0[0-9]*[89]/.test(digits)) throw this.#wrong("octal digits");
    const magnitude = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits);
    const whole = isNegative ? -magnitude : magnitude;
    const width = widths[code] as number;
    const fitting = width < 0 ? BigInt.asIntN(-width, whole) : BigInt.asUintN(width, whole);
    if (fitting !== whole) throw this.#wrong(`a number of the type ${code}`);
    return Math.abs(width) === 64 ? whole : Number(whole);
  }

  /** The type that is asked for, when it is one of these; the first of these when none is. */
  #oneOf(type: DbusType | undefined, codes: string): string {
    if (type === undefined) return codes.charAt(0);
    if (!codes.includes(type.code)) throw this.#wrong(`a value of the type ${formatType(type)}`);
    return type.code;
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found === null) return undefined;
    this.#at = pattern.lastIndex;
    return found;
  }

  #wrong(expected: string): InvalidDocumentError {
    return new InvalidDocumentError(`${JSON.stringify(this.#text)}: expected ${expected} at ${this.#at}`);
  }
}

function formatType(type: DbusType): string {
  if (type.code === "a") return `a${formatType(type.element)}`;
  return type.code === "(" ? `(${type.fields.map(formatType).join("")})` : type.code;
}

function unescape(quoted: string): string {
  const pattern = /\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))/gs;
  return quoted.slice(1, -1).replace(pattern, (_, short?: string, long?: string, other?: string) => {
    if (other !== undefined) return escapes[other] ?? other;
    return String.fromCodePoint(Number.parseInt(short ?? long ?? "", 16));
  });
}

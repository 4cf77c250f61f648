import { numberCharacters, parseNumber, unquote } from "./literals.ts";

/** A piece of a template: text between actions, or a part of an action. */
export interface Token {
  readonly kind:
    | "text"
    | "open"
    | "close"
    | "field"
    | "variable"
    | "word"
    | "constant"
    | "mark"
    | "end of template"
    /** What the lexer cannot read: `text` says why. Nothing follows. */
    | "error";
  /** As it is written; of a `text`, what is left after trimming. */
  readonly text: string;
  readonly position: number;
  /** Of a constant. */
  readonly value?: string | number;
  /** Blanks stand before it, which part operands. */
  readonly isApart: boolean;
}

const blanks = /[ \t\r\n]*/y;
const field = /\.[\p{L}_][\p{L}\p{N}_]*/uy;
const variable = /\$[\p{L}\p{N}_]*/uy;
const word = /[\p{L}_][\p{L}\p{N}_]*/uy;
const mark = /:=|[=|(),.]/y;
const quoted = /"((?:[^"\\\n]|\\[^\n])*)"|`([^`]*)`/y;
const character = /'((?:[^'\\\n]|\\[^\n])+)'/y;

/**
 * Takes a template apart. Go's text/template, "Text and spaces"
 * @param expand what becomes of text outside of actions before blanks are trimmed
 */
export function tokenize(source: string, expand: (text: string) => string = (text) => text): Token[] {
  return new Lexer(source, expand).tokens();
}

class Lexer {
  readonly #source: string;
  readonly #expand: (text: string) => string;
  readonly #tokens: Token[] = [];
  #position = 0;
  /** The action before ends with ` -}}`. */
  #trimsNext = false;

  constructor(source: string, expand: (text: string) => string) {
    this.#source = source;
    this.#expand = expand;
  }

  tokens(): Token[] {
    while (this.#position < this.#source.length && this.#text() && this.#action());
    if (this.#tokens.at(-1)?.kind !== "error") this.#push("end of template", "");
    return this.#tokens;
  }

  #push(kind: Token["kind"], text: string, more: Partial<Token> = {}): void {
    this.#tokens.push({ kind, text, position: this.#position, isApart: false, ...more });
  }

  /** @returns false, as nothing can follow */
  #fail(reason: string): false {
    this.#push("error", reason);
    return false;
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#position;
    return pattern.exec(this.#source) ?? undefined;
  }

  /** @returns whether an action follows */
  #text(): boolean {
    const open = this.#source.indexOf("{{", this.#position);
    const end = open < 0 ? this.#source.length : open;
    const trimsBack = /^\{\{-[ \t\r\n]/.test(this.#source.slice(end, end + 4));
    let text = this.#expand(this.#source.slice(this.#position, end));
    if (this.#trimsNext) text = text.replace(/^[ \t\r\n]+/, "");
    if (trimsBack) text = text.replace(/[ \t\r\n]+$/, "");
    if (text !== "") this.#push("text", text);
    this.#trimsNext = false;
    this.#position = trimsBack ? end + 3 : end + 2;
    return open >= 0;
  }

  #action(): boolean {
    const start = (this.#match(blanks)?.[0].length ?? 0) + this.#position;
    if (this.#source.startsWith("/*", start)) return this.#comment(start);
    this.#push("open", "{{");
    for (;;) {
      const isApart = this.#skipBlanks();
      if (this.#close()) return true;
      if (this.#position >= this.#source.length) return this.#fail("unclosed action");
      if (!this.#part(isApart)) return false;
    }
  }

  #comment(start: number): boolean {
    const end = this.#source.indexOf("*/", start + 2);
    if (end < 0) return this.#fail("unclosed comment");
    this.#position = end + 2;
    const close = this.#match(/([ \t\r\n]+-)?\}\}/y);
    if (close === undefined) return this.#fail("comment ends before closing delimiter");
    this.#trimsNext = close[1] !== undefined;
    this.#position += close[0].length;
    return true;
  }

  #skipBlanks(): boolean {
    const length = this.#match(blanks)?.[0].length ?? 0;
    this.#position += length;
    return length > 0;
  }

  #close(): boolean {
    // The minus of a trimming end stands behind a blank, which was skipped.
    const trims = this.#source.startsWith("-}}", this.#position) && /\s/.test(this.#source[this.#position - 1] ?? "");
    if (!trims && !this.#source.startsWith("}}", this.#position)) return false;
    this.#push("close", "}}");
    this.#trimsNext = trims;
    this.#position += trims ? 3 : 2;
    return true;
  }

  #part(isApart: boolean): boolean {
    const take = (kind: Token["kind"], text: string, value?: string | number) => {
      this.#push(kind, text, { isApart, ...(value === undefined ? {} : { value }) });
      this.#position += text.length;
      return true;
    };
    const number = this.#match(numberCharacters)?.[0];
    if (number !== undefined) {
      const value = parseNumber(number);
      return value === undefined
        ? this.#fail(`bad number syntax: ${JSON.stringify(number)}`)
        : take("constant", number, value);
    }
    for (const [kind, pattern] of [
      ["field", field],
      ["variable", variable],
      ["word", word],
      ["mark", mark],
    ] as const) {
      const text = this.#match(pattern)?.[0];
      if (text !== undefined) return take(kind, text);
    }
    const next = String.fromCodePoint(this.#source.codePointAt(this.#position) ?? 0);
    if (next === "'" || next === '"' || next === "`") return this.#literal(next, take);
    // The parser knows what should stand here instead.
    return take("mark", next);
  }

  #literal(quote: string, take: (kind: "constant", text: string, value: string | number) => boolean): boolean {
    const [whole, inside, raw] = this.#match(quote === "'" ? character : quoted) ?? [];
    if (whole === undefined) {
      const kinds: Readonly<Record<string, string>> = { "'": "character constant", '"': "quoted string" };
      return this.#fail(`unterminated ${kinds[quote] ?? "raw quoted string"}`);
    }
    const value = raw ?? unquote(inside ?? "");
    if (value === undefined) return this.#fail("invalid syntax");
    if (quote !== "'") return take("constant", whole, value);
    const [only = "", ...others] = value;
    if (others.length > 0) return this.#fail(`malformed character constant: ${whole}`);
    return take("constant", whole, only.codePointAt(0) ?? 0);
  }
}

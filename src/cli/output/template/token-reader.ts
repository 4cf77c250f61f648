import { malformed, type Place, type TemplateError } from "./errors.ts";
import type { Token } from "./lexer.ts";

export const keywords: ReadonlySet<string> = new Set(
  "block break continue define else end if range template with".split(" "),
);

/** Gives a template's tokens one by one, and says what is wrong with them in the words of Go's text/template. */
export class TokenReader {
  readonly #source: string;
  readonly #tokens: readonly Token[];
  /** Of the token that comes next: who has looked ahead puts it back. */
  index = 0;

  constructor(source: string, tokens: readonly Token[]) {
    this.#source = source;
    this.#tokens = tokens;
  }

  peek(): Token {
    // The last token stands for all that would follow it.
    return this.#tokens[Math.min(this.index, this.#tokens.length - 1)] as Token;
  }

  /** The token that was read last. */
  previous(): Token {
    return this.#tokens[Math.max(0, this.index - 1)] as Token;
  }

  /** @throws {TemplateError} the lexer could not read it */
  next(): Token {
    const token = this.peek();
    if (token.kind === "error") throw this.wrong(token.text);
    this.index += 1;
    return token;
  }

  /** Reads this mark if it comes next. */
  takeMark(text: string): boolean {
    const found = this.peek().kind === "mark" && this.peek().text === text;
    if (found) this.index += 1;
    return found;
  }

  wrong(reason: string, position = this.peek().position): TemplateError {
    return malformed(this.#source, position, reason);
  }

  unexpected(token: Token, context: string): TemplateError {
    if (token.kind === "error") return this.wrong(token.text);
    if (token.kind === "end of template") return this.wrong("unexpected EOF");
    if (token.text === ")") return this.wrong("unexpected right paren");
    const isNamed = token.text === "." || (token.kind === "word" && keywords.has(token.text));
    const text = isNamed ? `<${token.text}>` : JSON.stringify(token.text);
    return this.wrong(`unexpected ${text} in ${context}`, token.position);
  }

  /** The place of what begins there and ends before the next token. */
  placeFrom(position: number): Place {
    return { position, text: this.#source.slice(position, this.peek().position).trimEnd() };
  }
}

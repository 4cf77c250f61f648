/** One challenge of a WWW-Authenticate header. RFC 9110, 11.6.1. */
export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** Names in lower case. The last of equal names wins. */
  readonly parameters: Readonly<Record<string, string>>;
}

const tokenForm = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
// Some registries give URLs without quotes.
const unquotedForm = /[^\s,"]+/y;
const blanks = /[ \t]*/y;
const separators = /[ \t,]*/y;

/**
 * Reads the challenges of a header; several headers joined by commas are one. What breaks the grammar ends the reading:
 * the challenges and parameters before it count, the parameter that breaks it does not. Registries send such headers,
 * and what was understood is usually enough; a realm that is missing is the caller's to complain about.
 */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  const scanner = new Scanner(header);
  scanner.take(separators);
  while (!scanner.atEnd) {
    const scheme = scanner.take(tokenForm)?.toLowerCase();
    if (scheme === undefined) break;
    const parameters: Record<string, string> = {};
    challenges.push({ scheme, parameters });
    if (!readParameters(scanner, parameters)) break;
  }
  return challenges;
}

/** Reads parameters until a word without `=` begins the next challenge. False: the rest cannot be understood. */
function readParameters(scanner: Scanner, parameters: Record<string, string>): boolean {
  scanner.take(separators);
  while (!scanner.atEnd) {
    const start = scanner.position;
    const name = scanner.take(tokenForm)?.toLowerCase();
    if (name === undefined) return false;
    scanner.take(blanks);
    if (!scanner.skip("=")) {
      scanner.position = start;
      return true;
    }
    scanner.take(blanks);
    const value = scanner.next === '"' ? scanner.quoted() : scanner.take(unquotedForm);
    if (value === undefined) return false;
    scanner.take(blanks);
    // No comma: a quote too few or too many, and nobody knows where the value was meant to end.
    if (!scanner.atEnd && scanner.next !== ",") return false;
    parameters[name] = value;
    scanner.take(separators);
  }
  return true;
}

class Scanner {
  position = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.position >= this.#text.length;
  }

  get next(): string | undefined {
    return this.#text[this.position];
  }

  take(form: RegExp): string | undefined {
    form.lastIndex = this.position;
    const found = form.exec(this.#text)?.[0];
    if (found !== undefined) this.position += found.length;
    return found;
  }

  skip(character: string): boolean {
    if (this.next !== character) return false;
    this.position++;
    return true;
  }

  /** A quoted string with its escapes undone; undefined when it does not end. */
  quoted(): string | undefined {
    let value = "";
    for (let at = this.position + 1; at < this.#text.length; at++) {
      let character = this.#text[at];
      if (character === '"') {
        this.position = at + 1;
        return value;
      }
      if (character === "\\") character = this.#text[++at];
      value += character ?? "";
    }
    return undefined;
  }
}

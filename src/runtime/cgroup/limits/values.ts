import { InvalidDocumentError } from "../../../util/errors.ts";

/**
 * An object of `linux.resources`, read property by property. Names are found whatever their capitals, as the tools
 * that write specifications in Go have it (`pagesize`, `CPU`). An absent property, and `null`, is undefined.
 */
export class Group {
  /** The property's path, such as `linux.resources.cpu`. */
  readonly path: string;
  readonly #values = new Map<string, unknown>();

  /**
   * @param names every property that the specification knows here
   * @param notes gets a sentence for each property that it does not know: those have to be let pass
   *   (config.md, "Extensibility")
   * @throws InvalidDocumentError `value` is not an object
   */
  constructor(value: unknown, path: string, names: readonly string[], notes: string[]) {
    this.path = path;
    if (value === undefined || value === null) return;
    if (typeof value !== "object" || Array.isArray(value)) throw wrong(path, value, "an object");
    for (const [given, content] of Object.entries(value)) {
      if (content === undefined || content === null) continue;
      const name = names.includes(given) ? given : names.find((known) => known.toLowerCase() === given.toLowerCase());
      if (name === undefined) notes.push(`${path}.${given} is not known and has no effect`);
      else this.#values.set(name, content);
    }
  }

  get(name: string): unknown {
    return this.#values.get(name);
  }

  /**
   * A whole number. Those that a JSON number cannot hold exactly, such as Go's largest, come as `Infinity`.
   * @throws InvalidDocumentError it is none, or not in the range
   */
  integer(name: string, least: number, most: number = Number.POSITIVE_INFINITY): number | undefined {
    const given = this.get(name);
    if (given === undefined) return undefined;
    let value = typeof given === "bigint" ? Number(given) : given;
    if (typeof value === "number" && value > Number.MAX_SAFE_INTEGER) value = Number.POSITIVE_INFINITY;
    const isWhole = typeof value === "number" && (Number.isInteger(value) || value === Number.POSITIVE_INFINITY);
    if (isWhole && (value as number) >= least && (value as number) <= most) return value as number;
    const range = most === Number.POSITIVE_INFINITY ? `from ${least}` : `from ${least} to ${most}`;
    throw wrong(`${this.path}.${name}`, given, `a whole number ${range}`);
  }

  /** As {@link integer}; 0 is "not set", as with other runtimes: in Go it may stand for an absent number. */
  positive(name: string, most?: number): number | undefined {
    return unlessZero(this.integer(name, 0, most));
  }

  /** A limit: a whole number, or -1 for none, which the largest numbers of 64 bits stand for too. 0 is "not set". */
  limit(name: string): number | undefined {
    const value = this.integer(name, -1);
    return value === Number.POSITIVE_INFINITY ? -1 : unlessZero(value);
  }

  /** @throws InvalidDocumentError it is not a boolean */
  boolean(name: string): boolean | undefined {
    const value = this.get(name);
    if (value === undefined || typeof value === "boolean") return value;
    throw wrong(`${this.path}.${name}`, value, "true or false");
  }

  /** A text of a form that says it cannot be two values. @throws InvalidDocumentError it is none, or not of the form */
  text(name: string, form: RegExp, expected: string): string | undefined {
    const value = this.get(name);
    if (value === undefined || value === "") return undefined;
    if (typeof value === "string" && form.test(value)) return value;
    throw wrong(`${this.path}.${name}`, value, expected);
  }

  /** A list of objects, each with its own path. @throws InvalidDocumentError it is none */
  list(name: string, names: readonly string[], notes: string[]): Group[] {
    const value = this.get(name);
    const path = `${this.path}.${name}`;
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw wrong(path, value, "a list");
    return value.map((entry, index) => new Group(entry, `${path}[${index}]`, names, notes));
  }

  /** What an entry cannot do without. @throws InvalidDocumentError it is not there */
  required<T>(name: string, value: T | undefined): T {
    if (value === undefined) throw new InvalidDocumentError(`${this.path}.${name} is missing`);
    return value;
  }
}

function unlessZero(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value;
}

/** The error for a value that is not what its property may have. @param path the property's */
export function wrong(path: string, value: unknown, expected: string): InvalidDocumentError {
  const shown = typeof value === "bigint" ? String(value) : JSON.stringify(value);
  return new InvalidDocumentError(`${path} is ${shown}: expected ${expected}`);
}

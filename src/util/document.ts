/**
 * What documents in Docker's form are made of beside plain values. A plain object stands for one of Go's structures: it
 * has always the same fields. `null` is a pointer to nothing. Templates tell these kinds apart, and so does JSON.
 */

/** A map by names: what has no entry in it is no mistake of who asks. Its JSON has the names in order, as Go writes it. */
export class Dictionary<Value> extends Map<string, Value> {
  /** What `index` gives for a name that is not there: Go's zero value of the map's type. */
  readonly zero: unknown;

  constructor(entries: Iterable<readonly [string, Value]> = [], zero: unknown = "") {
    super(entries);
    this.zero = zero;
  }

  /** The dictionary of an object's own properties. */
  static of<Value>(object: Readonly<Record<string, Value>> | null | undefined, zero: unknown = ""): Dictionary<Value> {
    return new Dictionary(Object.entries(object ?? {}), zero);
  }

  /** The entries by the order of their names. */
  sorted(): [string, Value][] {
    return [...this].sort(([one], [other]) => (one < other ? -1 : 1));
  }

  toJSON(): unknown {
    return Object.fromEntries(this.sorted());
  }
}

/** A dictionary that nobody has made: `null` in JSON, and empty for everything else. */
export class NilDictionary extends Dictionary<never> {
  override toJSON(): unknown {
    return null;
  }
}

/** A list that nobody has made: `null` in JSON, and empty for everything else. */
export const nilList: readonly never[] = Object.freeze(
  Object.defineProperty([] as never[], "toJSON", { value: () => null }),
);

/** The list, or {@link nilList} for an empty one. */
export function listOrNil<Item>(list: readonly Item[] | null | undefined): readonly Item[] {
  return list === undefined || list === null || list.length === 0 ? nilList : list;
}

/** Leaves fields out of a structure's JSON that say nothing: what Go's tag `omitempty` does. */
export function omitEmpty<Structure extends object>(
  structure: Structure,
  ...fields: readonly (keyof Structure & string)[]
): Structure {
  const omitted: ReadonlySet<string> = new Set(fields);
  const toJSON = () =>
    Object.fromEntries(Object.entries(structure).filter(([name, value]) => !omitted.has(name) || !isEmpty(value)));
  return Object.defineProperty(structure, "toJSON", { value: toJSON });
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return value instanceof Map && value.size === 0;
}

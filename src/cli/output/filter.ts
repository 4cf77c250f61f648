import { UsageError } from "../../util/errors.ts";
import { nearestNames } from "../../util/nearest.ts";
import { alternatives } from "../flags.ts";

/** Whether a thing has the property that a filter's value asks for. */
export type FilterTest<Item> = (item: Item, value: string) => boolean;

/** A test whose value is read beforehand, and may be refused. */
export interface PreparedFilter<Item> {
  /** @throws UsageError the value is none for this filter */
  prepare(value: string): (item: Item) => boolean;
}

/** The filters of a list by their keys. */
export type Filters<Item> = Readonly<Record<string, FilterTest<Item> | PreparedFilter<Item>>>;

/**
 * Reads the values of `--filter`, each `KEY=VALUE`. Filters of different keys must all hold; of several values for one
 * key one is enough, but every `label` must hold.
 * @throws {UsageError} it is not of that form, or there is no such filter
 */
export function parseFilters<Item>(texts: readonly string[], filters: Filters<Item>): (item: Item) => boolean {
  const wanted = new Map<string, ((item: Item) => boolean)[]>();
  for (const text of texts) {
    const [, key = "", value] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
    if (value === undefined) {
      throw new UsageError(`invalid --filter ${JSON.stringify(text)}: it is not of the form KEY=VALUE`);
    }
    const filter = Object.hasOwn(filters, key) ? filters[key] : undefined;
    if (filter === undefined) throw unknownFilter(text, key, Object.keys(filters));
    const holds = typeof filter === "function" ? (item: Item) => filter(item, value) : filter.prepare(value);
    wanted.set(key, [...(wanted.get(key) ?? []), holds]);
  }
  return (item) =>
    [...wanted].every(([key, tests]) =>
      /^label!?$/.test(key) ? tests.every((holds) => holds(item)) : tests.some((holds) => holds(item)),
    );
}

function unknownFilter(text: string, key: string, known: readonly string[]): UsageError {
  const near = nearestNames(key, known);
  const advice = near.length === 0 ? "" : `did you mean ${alternatives(near)}? `;
  return new UsageError(`invalid --filter ${JSON.stringify(text)}: there is no filter ${JSON.stringify(key)}`, {
    hint: `${advice}the filters are ${known.join(", ")}`,
  });
}

/** The test of `label=KEY` and `label=KEY=VALUE`. */
export function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const [key = "", value] = wanted.split(/=(.*)/s, 2);
  return Object.hasOwn(labels, key) && (value === undefined || labels[key] === value);
}

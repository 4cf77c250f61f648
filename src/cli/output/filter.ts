import { UsageError } from "../../util/errors.ts";
import { nearestNames } from "../../util/nearest.ts";
import { alternatives } from "../flags.ts";

/** Whether a thing has the property that a filter's value asks for. */
export type FilterTest<Item> = (item: Item, value: string) => boolean;

/**
 * Reads the values of `--filter`, each `KEY=VALUE`. Filters of different keys must all hold; of several values for one
 * key one is enough, but every `label` must hold.
 * @throws {UsageError} it is not of that form, or there is no such filter
 */
export function parseFilters<Item>(
  texts: readonly string[],
  tests: Readonly<Record<string, FilterTest<Item>>>,
): (item: Item) => boolean {
  const wanted = new Map<string, string[]>();
  for (const text of texts) {
    const [, key = "", value] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
    if (value === undefined) {
      throw new UsageError(`invalid --filter ${JSON.stringify(text)}: it is not of the form KEY=VALUE`);
    }
    if (!Object.hasOwn(tests, key)) {
      const near = nearestNames(key, Object.keys(tests));
      const advice = near.length === 0 ? "" : `did you mean ${alternatives(near)}? `;
      throw new UsageError(`invalid --filter ${JSON.stringify(text)}: there is no filter ${JSON.stringify(key)}`, {
        hint: `${advice}the filters are ${Object.keys(tests).join(", ")}`,
      });
    }
    wanted.set(key, [...(wanted.get(key) ?? []), value]);
  }
  return (item) =>
    [...wanted].every(([key, values]) => {
      const holds = (value: string) => tests[key]?.(item, value) === true;
      return key === "label" ? values.every(holds) : values.some(holds);
    });
}

/** The test of `label=KEY` and `label=KEY=VALUE`. */
export function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const [key = "", value] = wanted.split(/=(.*)/s, 2);
  return Object.hasOwn(labels, key) && (value === undefined || labels[key] === value);
}

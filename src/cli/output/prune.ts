import { type Instant, parseInstant } from "../../util/instant.ts";
import type { FlagDefinitions } from "../flags.ts";
import { hasLabel, parseFilters, type PreparedFilter } from "./filter.ts";

/** The flags that all commands have that prune. */
export const pruneFlags = {
  filter: {
    type: "string",
    repeated: true,
    valueHint: "KEY=VALUE",
    description: "Only those to which this applies",
  },
  force: { type: "boolean", alias: "f", description: "Do not ask" },
} as const satisfies FlagDefinitions;

/** What help says of {@link labelFilters} and of {@link ageAndLabelFilters}. */
export const labelFilterWords = "label, label! (does not have it)";
export const ageAndLabelFilterWords = `until (made before that time, such as 24h), ${labelFilterWords}`;

type Labels = Readonly<Record<string, string>>;

/** @throws UsageError a filter is none */
export function labelFilters<Item>(
  texts: readonly string[],
  labelsOf: (item: Item) => Labels,
): (item: Item) => boolean {
  return parseFilters<Item>(texts, byLabel(labelsOf));
}

/**
 * @param madeAt when a thing was made; undefined when it does not say
 * @throws UsageError a filter is none
 */
export function ageAndLabelFilters<Item>(
  texts: readonly string[],
  madeAt: (item: Item) => Instant | undefined,
  labelsOf: (item: Item) => Labels,
): (item: Item) => boolean {
  return parseFilters<Item>(texts, { until: untilFilter(madeAt), ...byLabel(labelsOf) });
}

/** What was made before a time, given as such or as how long ago that is. */
function untilFilter<Item>(madeAt: (item: Item) => Instant | undefined): PreparedFilter<Item> {
  return {
    prepare(value) {
      const until = parseInstant(value, "--filter until", Date.now());
      return (item) => (madeAt(item) ?? 0n) < until;
    },
  };
}

function byLabel<Item>(labelsOf: (item: Item) => Labels) {
  return {
    label: (item: Item, value: string) => hasLabel(labelsOf(item), value),
    "label!": (item: Item, value: string) => !hasLabel(labelsOf(item), value),
  };
}

/** What is gone, in docker's words, which scripts read; nothing when nothing is. */
export function deletedWords(kind: "Containers" | "Images" | "Networks" | "Volumes", lines: readonly string[]): string {
  return lines.length === 0 ? "" : `Deleted ${kind}:\n${lines.map((line) => `${line}\n`).join("")}\n`;
}

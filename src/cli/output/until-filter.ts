import { type Instant, parseInstant } from "../../util/instant.ts";
import type { PreparedFilter } from "./filter.ts";

/**
 * The filter `until` of the commands that prune: what was made before a time, given as such or as how long ago that is.
 * @param madeAt when a thing was made; undefined when it does not say
 */
export function untilFilter<Item>(madeAt: (item: Item) => Instant | undefined): PreparedFilter<Item> {
  return {
    prepare: (value) => {
      const until = parseInstant(value, "--filter until", Date.now());
      return (item) => (madeAt(item) ?? 0n) < until;
    },
  };
}

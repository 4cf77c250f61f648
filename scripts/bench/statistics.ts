/** What is said of a series of measurements, in their unit. */
export interface Summary {
  readonly median: number;
  readonly minimum: number;
  /** The median distance from the median: half of all lie closer. Single outliers do not move it. */
  readonly deviation: number;
}

/** @throws RangeError nothing was measured */
export function summarise(values: readonly number[]): Summary {
  const middle = median(values);
  return {
    median: middle,
    minimum: Math.min(...values),
    deviation: median(values.map((value) => Math.abs(value - middle))),
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1];
  const lower = sorted[(sorted.length - 1) >> 1];
  if (upper === undefined || lower === undefined) throw new RangeError("nothing was measured");
  return (upper + lower) / 2;
}

import { UsageError } from "./errors.ts";

/** How often the base is multiplied. */
const sizes: Readonly<Record<string, number>> = { "": 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

/**
 * A size such as `64m`, `1.5g`, `1024` or `10MiB` in bytes; powers of 1024, as docker and runc read most of them.
 * @param what the flag, for the message
 * @param base 1000 for the few that docker reads so, whatever the unit is called
 * @throws UsageError
 */
export function parseSize(text: string, what: string, base: 1000 | 1024 = 1024): number {
  const found = /^(\d+\.?\d*|\.\d+) ?(?:b|([kmgtp])(?:i?b)?)?$/i.exec(text);
  const power = found === null ? undefined : sizes[(found[2] ?? "").toLowerCase()];
  if (found !== null && power !== undefined) return Math.floor(Number(found[1]) * base ** power);
  throw new UsageError(`${what} must be a size such as 64m or 1g, not ${JSON.stringify(text)}`);
}

/** In nanoseconds; the micro sign and the Greek letter, as Go's time.ParseDuration takes both. */
const durations: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  "\u00b5s": 1e3,
  "\u03bcs": 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/**
 * A duration such as `5s`, `1m30s`, `500ms` in milliseconds.
 * @param what the flag, for the message
 * @throws UsageError
 */
export function parseDuration(text: string, what: string): number {
  return parseNanoseconds(text, what) / 1e6;
}

/**
 * {@link parseDuration} in nanoseconds, as Docker writes durations down; exact up to 104 days.
 * @throws UsageError
 */
export function parseNanoseconds(text: string, what: string): number {
  if (text === "0") return 0;
  if (/^(?:\d+(?:\.\d+)?(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+$/.test(text)) {
    let sum = 0;
    for (const [, number, unit = "s"] of text.matchAll(/(\d+(?:\.\d+)?)([^\d.]+)/g)) {
      sum += Number(number) * (durations[unit] as number);
    }
    return Math.round(sum);
  }
  throw new UsageError(`${what} must be a duration such as 5s or 1m30s, not ${JSON.stringify(text)}`);
}

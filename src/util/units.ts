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

const durations: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * A duration such as `5s`, `1m30s`, `500ms` in milliseconds.
 * @param what the flag, for the message
 * @throws UsageError
 */
export function parseDuration(text: string, what: string): number {
  if (/^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/.test(text)) {
    let sum = 0;
    for (const [, number, unit = "s"] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
      sum += Number(number) * (durations[unit] as number);
    }
    return sum;
  }
  throw new UsageError(`${what} must be a duration such as 5s or 1m30s, not ${JSON.stringify(text)}`);
}

import { UsageError } from "./errors.ts";

const sizes: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};

/**
 * A size such as `64m`, `1.5g`, `1024` or `10MiB` in bytes; powers of 1024, as docker and runc read them.
 * @param what the flag, for the message
 * @throws UsageError
 */
export function parseSize(text: string, what: string): number {
  const found = /^(\d+(?:\.\d+)?) ?([bkmgtp]?)(?:i?b)?$/i.exec(text);
  const factor = found === null ? undefined : sizes[(found[2] as string).toLowerCase()];
  if (found !== null && factor !== undefined) return Math.floor(Number(found[1]) * factor);
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

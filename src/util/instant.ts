import { UsageError } from "./errors.ts";

/**
 * A point in time: nanoseconds since the epoch. Numbers cannot hold those, and what Docker writes and reads has all nine
 * digits.
 */
export type Instant = bigint;

const nanosecondsPerMillisecond = 1_000_000n;
const nanosecondsPerSecond = 1_000_000_000n;

/** @param milliseconds since the epoch, as `Date.now()` has them; a fraction counts */
export function instantOf(milliseconds: number): Instant {
  const whole = Math.floor(milliseconds);
  return BigInt(whole) * nanosecondsPerMillisecond + BigInt(Math.floor((milliseconds - whole) * 1e6));
}

/** RFC 3339 in UTC with all nine digits, so that such texts have one length: `2026-03-01T12:30:00.000000000Z`. */
export function formatInstant(instant: Instant): string {
  const fraction = ((instant % nanosecondsPerSecond) + nanosecondsPerSecond) % nanosecondsPerSecond;
  const seconds = new Date(Number((instant - fraction) / nanosecondsPerMillisecond)).toISOString().slice(0, -5);
  return `${seconds}.${fraction.toString().padStart(9, "0")}Z`;
}

const dateForm =
  /^(?<day>\d{4}-\d\d-\d\d)(?:T(?<hour>\d\d)(?::(?<minute>\d\d)(?::(?<second>\d\d)(?:\.(?<fraction>\d+))?)?)?)?(?<zone>Z|[+-]\d\d:\d\d)?$/;

/**
 * A time of RFC 3339. Docker's liberties are taken too: what is smaller than the day may be left out from its end
 * (`2026-03-01T12:30`), and so may the zone, which is then the machine's own.
 * @returns undefined when it is nothing of that kind, or there is no such day or time of day
 */
export function parseDate(text: string): Instant | undefined {
  const {
    day,
    hour = "00",
    minute = "00",
    second = "00",
    fraction = "",
    zone = "",
  } = dateForm.exec(text)?.groups ?? {};
  if (day === undefined) return undefined;
  const clock = `${day}T${hour}:${minute}:${second}`;
  // Date takes the 31st of April for the 1st of May, and 24:00 for the next day's midnight.
  const asUtc = Date.parse(`${clock}Z`);
  if (Number.isNaN(asUtc) || new Date(asUtc).toISOString() !== `${clock}.000Z`) return undefined;
  // Without a zone, Date takes the time for a local one.
  const milliseconds = Date.parse(`${clock}${zone}`);
  if (Number.isNaN(milliseconds)) return undefined;
  return BigInt(milliseconds) * nanosecondsPerMillisecond + nanoseconds(fraction);
}

/** The digits behind a decimal point of seconds; what is smaller than a nanosecond does not count. */
function nanoseconds(digits: string): bigint {
  return BigInt(digits.slice(0, 9).padEnd(9, "0"));
}

const units: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1000n,
  // The micro sign and the Greek letter.
  "\u00b5s": 1000n,
  "\u03bcs": 1000n,
  ms: nanosecondsPerMillisecond,
  s: nanosecondsPerSecond,
  m: 60n * nanosecondsPerSecond,
  h: 3600n * nanosecondsPerSecond,
};

/** A duration as Go writes and reads them (time.ParseDuration): `1h30m`, `1.5h`, `-10s`, in nanoseconds. */
function parseGoDuration(text: string): bigint | undefined {
  const part = /(?:(\d+)(?:\.(\d*))?|\.(\d+))(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y;
  const sign = text.startsWith("-") ? -1n : 1n;
  part.lastIndex = /^[+-]/.test(text) ? 1 : 0;
  if (part.lastIndex === text.length) return undefined;
  let sum = 0n;
  while (part.lastIndex < text.length) {
    const [, whole = "0", after, alone, unit = ""] = part.exec(text) ?? [];
    const factor = units[unit];
    if (factor === undefined) return undefined;
    const digits = after ?? alone ?? "";
    sum += BigInt(whole) * factor + (BigInt(`0${digits}`) * factor) / 10n ** BigInt(digits.length);
  }
  return sign * sum;
}

/**
 * A point in time as Docker's `--since` and `--until` take it: a duration before now (`10m`, `1h30m`), a date of RFC 3339
 * ({@link parseDate}), or seconds since the epoch, also with a fraction (`1767225600.5`).
 * @param flag for the message
 * @param now milliseconds since the epoch
 * @throws UsageError it is none of these
 */
export function parseInstant(text: string, flag: string, now: number): Instant {
  const duration = parseGoDuration(text);
  if (duration !== undefined) return instantOf(now) - duration;
  const [, seconds, fraction = ""] = /^(\d{1,12})(?:\.(\d+))?$/.exec(text) ?? [];
  if (seconds !== undefined) return BigInt(seconds) * nanosecondsPerSecond + nanoseconds(fraction);
  const date = parseDate(text);
  if (date !== undefined) return date;
  throw new UsageError(`invalid ${flag} ${JSON.stringify(text)}: it is neither a time nor a duration`, {
    hint: "it looks like 10m, 1h30m, 2026-03-01, 2026-03-01T12:30:00Z or 1767225600.5 (seconds since 1970)",
  });
}

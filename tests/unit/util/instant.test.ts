import { describe, expect, test } from "bun:test";
import { UsageError } from "../../../src/util/errors.ts";
import { formatInstant, instantOf, parseDate, parseInstant } from "../../../src/util/instant.ts";

const now = Date.UTC(2026, 2, 1, 12, 30, 0);
const parse = (text: string) => formatInstant(parseInstant(text, "--since", now));

test.each([
  ["10m", "2026-03-01T12:20:00.000000000Z"],
  ["1h30m", "2026-03-01T11:00:00.000000000Z"],
  ["1.5h", "2026-03-01T11:00:00.000000000Z"],
  [".5s", "2026-03-01T12:29:59.500000000Z"],
  ["2.s", "2026-03-01T12:29:58.000000000Z"],
  ["0s", "2026-03-01T12:30:00.000000000Z"],
  ["+1s", "2026-03-01T12:29:59.000000000Z"],
  ["-1h", "2026-03-01T13:30:00.000000000Z"],
  ["1ns", "2026-03-01T12:29:59.999999999Z"],
  ["1us1\u00b5s1\u03bcs", "2026-03-01T12:29:59.999997000Z"],
  ["1h0.25ms", "2026-03-01T11:29:59.999750000Z"],
])("the duration %p counts back from now", (text, expected) => {
  expect(parse(text)).toBe(expected);
});

test.each([
  ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000000Z"],
  ["2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456789Z"],
  ["2026-01-02T03:04:05.1234567899Z", "2026-01-02T03:04:05.123456789Z"],
  ["2026-01-02T03:04:05.5+02:00", "2026-01-02T01:04:05.500000000Z"],
  ["2026-01-02T03:04-01:30", "2026-01-02T04:34:00.000000000Z"],
  ["2026-01-02T03Z", "2026-01-02T03:00:00.000000000Z"],
  ["2026-01-02Z", "2026-01-02T00:00:00.000000000Z"],
  ["2024-02-29Z", "2024-02-29T00:00:00.000000000Z"],
  ["1969-12-31T23:59:59.25Z", "1969-12-31T23:59:59.250000000Z"],
])("the date %p has its zone", (text, expected) => {
  expect(parse(text)).toBe(expected);
});

test.each([
  ["0", "1970-01-01T00:00:00.000000000Z"],
  ["1767225600", "2026-01-01T00:00:00.000000000Z"],
  ["1767225600.000000001", "2026-01-01T00:00:00.000000001Z"],
  ["1767225600.5", "2026-01-01T00:00:00.500000000Z"],
])("%p are seconds since the epoch", (text, expected) => {
  expect(parse(text)).toBe(expected);
});

describe("without a zone a date is the machine's own", () => {
  test.each([
    ["2026-07-02", "Europe/Berlin", "2026-07-01T22:00:00.000000000Z"],
    ["2026-01-02", "Europe/Berlin", "2026-01-01T23:00:00.000000000Z"],
    ["2026-01-02T03:04:05.5", "America/New_York", "2026-01-02T08:04:05.500000000Z"],
    ["2026-01-02T03:04", "Asia/Kolkata", "2026-01-01T21:34:00.000000000Z"],
    ["2026-01-02T03", "UTC", "2026-01-02T03:00:00.000000000Z"],
  ])("%p in %p", (text, zone, expected) => {
    // A zone is read once per process.
    const script = `import { formatInstant, parseInstant } from ${JSON.stringify(`${import.meta.dir}/../../../src/util/instant.ts`)};
      process.stdout.write(formatInstant(parseInstant(${JSON.stringify(text)}, "--since", 0)));`;
    const child = Bun.spawnSync([process.execPath, "-e", script], { env: { ...process.env, TZ: zone } });
    expect(child.stdout.toString()).toBe(expected);
  });
});

test.each([
  "",
  "m",
  "-",
  "+",
  "1d",
  "5 s",
  "1h 2m",
  ".s",
  "yesterday",
  "2026-13-01",
  "2026-02-29",
  "2026-04-31T00:00:00Z",
  "2026-01-02T24:00:00Z",
  "2026-01-02T03:04:60Z",
  "2026-01-02 03:04:05",
  "2026-01-02T03:04:05+0200",
  "2026-1-2",
  "1767225600.",
  "-5",
  "9999999999999",
])("%p is no point in time", (text) => {
  expect(() => parse(text)).toThrow(UsageError);
  expect(() => parse(text)).toThrow(`invalid --since ${JSON.stringify(text)}: it is neither a time nor a duration`);
});

test("what was written is read as it was", () => {
  const instant = instantOf(now + 0.25) + 1n;
  expect(formatInstant(instant)).toBe("2026-03-01T12:30:00.000250001Z");
  expect(parseDate(formatInstant(instant))).toBe(instant);
});

import { expect, test } from "bun:test";
import { UsageError } from "../../../src/util/errors.ts";
import { parseDuration, parseNanoseconds, parseSize } from "../../../src/util/units.ts";

test.each([
  ["0", 0],
  ["1024", 1024],
  ["64m", 64 * 2 ** 20],
  ["64MB", 64 * 2 ** 20],
  ["64MiB", 64 * 2 ** 20],
  ["1.5g", 1.5 * 2 ** 30],
  ["2 k", 2048],
  ["1b", 1],
  [".5k", 512],
  ["5.k", 5120],
])("the size %p", (text, bytes) => {
  expect(parseSize(text, "--memory")).toBe(bytes);
});

test.each(["", "m", "-1", "1x", "1mm", "0x10", "1e3", "10bb", "10ib", "10bib", "."])("%p is no size", (text) => {
  expect(() => parseSize(text, "--memory")).toThrow(UsageError);
  expect(() => parseSize(text, "--memory")).toThrow(
    `--memory must be a size such as 64m or 1g, not ${JSON.stringify(text)}`,
  );
});

test.each([
  ["5s", 5000],
  ["500ms", 500],
  ["1m30s", 90_000],
  ["1.5h", 5_400_000],
])("the duration %p", (text, milliseconds) => {
  expect(parseDuration(text, "--interval")).toBe(milliseconds);
});

test.each(["", "5", "s", "5 s", "-5s", "5d"])("%p is no duration", (text) => {
  expect(() => parseDuration(text, "--interval")).toThrow("--interval must be a duration");
});

test.each([
  ["0", 0],
  ["1ns", 1],
  ["1.5us", 1500],
  ["2\u00b5s3\u03bcs", 5000],
  ["1h1m1s1ms", 3_661_001e6],
  ["0.3s", 300e6],
])("the duration %p in nanoseconds", (text, nanoseconds) => {
  expect(parseNanoseconds(text, "--time")).toBe(nanoseconds);
});

import { expect, test } from "bun:test";
import { parseLog } from "../../../../src/cli/commands/run/log-flag.ts";
import { rotationOf } from "../../../../src/container/logs/log-options.ts";
import { UsageError } from "../../../../src/util/errors.ts";

test("nothing is said", () => {
  expect(parseLog("", [])).toBeUndefined();
});

test.each([
  ["", ["max-size=10m"], { driver: "json-file", options: { "max-size": "10m" } }],
  ["local", ["max-file=1", "max-file=2"], { driver: "local", options: { "max-file": "2" } }],
  ["journald", ["tag={{.Name}}=x", "env=", "mode=blocking"], undefined],
  ["none", [], { driver: "none", options: {} }],
] as const)("%p with %j", (driver, texts, expected) => {
  const options = { tag: "{{.Name}}=x", env: "", mode: "blocking" };
  expect(parseLog(driver, texts)).toEqual(expected ?? { driver: "journald", options });
});

test.each([
  ["syslog", []],
  ["json-file", ["max-size"]],
  ["json-file", ["=1"]],
  ["json-file", ["__proto__=1"]],
  ["json-file", ["max-size=0"]],
  ["json-file", ["max-size=-1"]],
  ["json-file", ["max-file=0"]],
  ["json-file", ["max-file=1.5"]],
  ["json-file", ["compress=perhaps"]],
  ["json-file", ["max-size=1m", "compress=true"]],
  ["json-file", ["max-file=3", "compress=true"]],
  ["json-file", ["labels-regex=("]],
  ["json-file", ["mode=non-blocking"]],
  ["local", ["tag=x"]],
  ["local", ["max-file=1", "compress=true"]],
  ["journald", ["max-size=1m"]],
  ["journald", ["tag={{.ID"]],
  ["none", ["whatever=1"]],
])("%p with %j is refused", (driver, texts) => {
  expect(() => parseLog(driver, texts)).toThrow(UsageError);
});

test.each([
  ["json-file", {}, { maximumSize: undefined, maximumFiles: 1, compress: false }],
  ["json-file", { "max-size": "10m", "max-file": "3" }, { maximumSize: 10_000_000, maximumFiles: 3, compress: false }],
  ["local", {}, { maximumSize: 20 * 2 ** 20, maximumFiles: 5, compress: true }],
  ["local", { "max-size": "1k", "max-file": "1" }, { maximumSize: 1024, maximumFiles: 1, compress: false }],
  ["local", { compress: "F" }, { maximumSize: 20 * 2 ** 20, maximumFiles: 5, compress: false }],
] as const)("%s is rotated as Docker's is: %j", (driver, options, expected) => {
  expect(rotationOf({ driver, options })).toEqual(expected);
});

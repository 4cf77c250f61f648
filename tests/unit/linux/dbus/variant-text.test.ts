import { expect, test } from "bun:test";
import type { DbusValue } from "../../../../src/linux/dbus/marshal.ts";
import { parseVariantText } from "../../../../src/linux/dbus/variant-text.ts";
import { InvalidDocumentError } from "../../../../src/util/errors.ts";

test.each<[text: string, signature: string, value: DbusValue]>([
  ["'it\\'s \\u00e9\\n'", "s", "it's é\n"],
  ["\"a 'b'\"", "s", "a 'b'"],
  ["true", "b", true],
  [" false ", "b", false],
  ["boolean true", "b", true],
  ["-5", "i", -5],
  ["0x1f", "i", 31],
  ["010", "i", 8],
  ["uint64 18446744073709551615", "t", 18446744073709551615n],
  ["int64 -1", "x", -1n],
  ["byte 255", "y", 255],
  ["1.5", "d", 1.5],
  ["double 2", "d", 2],
  ["1e3", "d", 1000],
  ["objectpath '/a'", "o", "/a"],
  ["[1, 2]", "ai", [1, 2]],
  ["[uint64 1, 2]", "at", [1n, 2n]],
  ["@as []", "as", []],
  ["@a(ss) [('/dev/null', 'rw')]", "a(ss)", [["/dev/null", "rw"]]],
  ["('a', 5, [true])", "(siab)", ["a", 5, [true]]],
  ["('a',)", "(s)", ["a"]],
  ["[['a'], []]", "aas", [["a"], []]],
  ["@(st) ('a', 5)", "(st)", ["a", 5n]],
])("%s", (text, signature, value) => {
  expect(parseVariantText(text)).toEqual({ signature, value });
});

test.each([
  "",
  "yes",
  "'a",
  "5 6",
  "[]",
  "()",
  "[1, 'a']",
  "byte 256",
  "byte -1",
  "2147483648",
  "09",
  "uint64 1.5",
  "uint64 'a'",
  "constructor 5",
  "@as 'a'",
  "@ss 'a'",
  "@q",
  "[1",
  "{'a': 1}",
  "<5>",
  "@(st) ('a',)",
  `${"[".repeat(40)}1${"]".repeat(40)}`,
])("%j is none", (text) => {
  expect(() => parseVariantText(text)).toThrow(InvalidDocumentError);
});

import { expect, test } from "bun:test";
import { isWithin, splitPath } from "../../../src/util/path.ts";

test.each<[string, string[]]>([
  ["/", []],
  ["/a//b/./c/", ["a", "b", "c"]],
  ["/../../a/../b", ["b"]],
])("the names on %s", (path, names) => {
  expect(splitPath(path)).toEqual(names);
});

test.each<[string, string, boolean]>([
  ["/", "/", true],
  ["/a", "/", true],
  ["/a", "/a", true],
  ["/a/b", "/a", true],
  ["/ab", "/a", false],
  ["/", "/a", false],
])("%s within %s", (path, directory, expected) => {
  expect(isWithin(path, directory)).toBe(expected);
});

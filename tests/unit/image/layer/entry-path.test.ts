import { describe, expect, test } from "bun:test";
import { layerPath, printable } from "../../../../src/image/layer/entry-path.ts";
import { classifyEntry } from "../../../../src/image/layer/whiteout.ts";
import { InvalidDocumentError } from "../../../../src/util/errors.ts";

test.each([
  ["a/b", "a/b"],
  ["./a/b/", "a/b"],
  ["/etc/passwd", "etc/passwd"],
  ["//etc", "etc"],
  ["./", ""],
  [".", ""],
  ["/", ""],
  ["", ""],
  ["a//b/./c", "a/b/c"],
  ["a/../b", "b"],
  ["a/b/..", "a"],
  [".hidden/..name", ".hidden/..name"],
])("%j lies at %j", (name, path) => {
  expect(layerPath(name)).toBe(path);
});

test.each(["..", "../a", "a/../../b", "/../a", "./.."])("%j is outside", (name) => {
  expect(() => layerPath(name)).toThrow(/outside of the image/);
});

test("a path that the kernel does not take is refused", () => {
  expect(() => layerPath("a/".repeat(2100))).toThrow(InvalidDocumentError);
});

test("messages show names without what could disturb a terminal", () => {
  expect(printable("caf\xc3\xa9 x")).toBe("café x");
  expect(printable("a\x1b[2J")).toBe('"a\\u001b[2J"');
});

describe("markers", () => {
  test.each([
    ["a/b", { kind: "content" }],
    ["a/x.wh.b", { kind: "content" }],
    [".wh.a", { kind: "whiteout", path: "a" }],
    ["d/.wh.a", { kind: "whiteout", path: "d/a" }],
    [".wh..wh..opq", { kind: "opaque", path: "" }],
    ["d/.wh..wh..opq", { kind: "opaque", path: "d" }],
    [".wh..wh.aufs", { kind: "ignored" }],
    ["d/.wh..wh.orph/x", { kind: "ignored" }],
    [".wh..wh.plnk/12.34", { kind: "content" }],
  ] as const)("%s", (path, meaning) => {
    expect(classifyEntry(path)).toEqual(meaning);
  });

  test.each([".wh.", "d/.wh.", ".wh..", ".wh...", ".wh.a/b", ".wh..wh..opq/b"])("%s is refused", (path) => {
    expect(() => classifyEntry(path)).toThrow(InvalidDocumentError);
  });
});

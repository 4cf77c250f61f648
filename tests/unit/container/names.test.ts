import { expect, test } from "bun:test";
import { isContainerId, newContainerId, shortId } from "../../../src/util/ids.ts";
import { parseName, randomName } from "../../../src/container/names.ts";
import { UsageError } from "../../../src/util/errors.ts";

test("container IDs are 64 hexadecimal digits and differ", () => {
  const ids = Array.from({ length: 100 }, newContainerId);
  expect(ids.every(isContainerId)).toBe(true);
  expect(new Set(ids).size).toBe(100);
  expect(shortId(ids[0] as string)).toHaveLength(12);
});

test.each(["web", "a1", "My_app-2.0", "0x"])("%j is a name", (name) => {
  expect(parseName(name)).toBe(name);
});

test("Docker's leading slash is dropped for containers only", () => {
  expect(parseName("/web")).toBe("web");
  expect(() => parseName("/web", "volume")).toThrow(UsageError);
});

test.each(["", "a", "-x", ".hidden", "_x", "a/b", "a b", "ä1", "..", "a\n", "x".repeat(256)])("%j is none", (name) => {
  expect(() => parseName(name)).toThrow(UsageError);
});

test("random names are names", () => {
  for (let attempt = 0; attempt < 50; attempt++) {
    const name = randomName();
    expect(name).toMatch(/^[a-z]+_[a-z]+$/);
    expect(parseName(name)).toBe(name);
  }
});

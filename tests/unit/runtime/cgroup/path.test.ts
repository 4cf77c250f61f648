import { expect, test } from "bun:test";
import { normaliseCgroupPath } from "../../../../src/runtime/cgroup/path.ts";
import { UsageError } from "../../../../src/util/errors.ts";

test.each([
  ["/gocker/0123", "/gocker/0123"],
  ["gocker/0123", "/gocker/0123"],
  ["//gocker/./0123/", "/gocker/0123"],
  ["/system.slice:docker:0123", "/system.slice:docker:0123"],
  ["/...", "/..."],
])("%s is %s", (path, expected) => {
  expect(normaliseCgroupPath(path)).toBe(expected);
});

test.each(["", "/", "/.", "/gocker/../other", "..", "/a\0b", "/a\nb"])("%j is refused", (path) => {
  expect(() => normaliseCgroupPath(path)).toThrow(UsageError);
});

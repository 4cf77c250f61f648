import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { isAtLeast, kernelRelease, kernelVersion, parseKernelVersion } from "../../../src/linux/kernel.ts";

test("the running kernel's release and version", () => {
  const release = readFileSync("/proc/sys/kernel/osrelease", "utf8").trim();
  expect(kernelRelease()).toBe(release);
  expect(release).toStartWith(`${kernelVersion().major}.${kernelVersion().minor}`);
});

test("versions are read from releases", () => {
  expect(parseKernelVersion("6.18.44-1-amd64")).toEqual({ major: 6, minor: 18 });
  expect(parseKernelVersion("5.10-rc3")).toEqual({ major: 5, minor: 10 });
  expect(() => parseKernelVersion("next")).toThrow("not a kernel version");
});

test("versions are compared as numbers", () => {
  const version = { major: 5, minor: 10 };
  expect([isAtLeast(version, 5, 9), isAtLeast(version, 5, 10), isAtLeast(version, 4, 99)]).toEqual([true, true, true]);
  expect([isAtLeast(version, 5, 11), isAtLeast(version, 6, 0)]).toEqual([false, false]);
});

import { describe, expect, test } from "bun:test";
import type { Resources } from "../../../../src/oci/runtime-spec.ts";
import { CgroupError } from "../../../../src/runtime/cgroup/errors.ts";
import { readLimits } from "../../../../src/runtime/cgroup/limits.ts";
import {
  refuseV1Only,
  refuseV2Only,
  type Setting,
  v1Settings,
  v2Settings,
  weightOfShares,
} from "../../../../src/runtime/cgroup/resources.ts";
import { InvalidDocumentError } from "../../../../src/util/errors.ts";

const lines = (settings: Setting[]): string[] => settings.map(({ file, value }) => `${file} ${value}`);
const v1 = (resources: Resources): string[] => lines(v1Settings(readLimits(resources)));
const v2 = (resources: Resources): string[] => lines(v2Settings(readLimits(resources)));

const mebibyte = 1024 * 1024;

test("nothing asked for is nothing written", () => {
  expect(v1({})).toEqual([]);
  expect(v2({ devices: [{ allow: false }], memory: {}, cpu: {}, blockIO: {}, hugepageLimits: [] })).toEqual([]);
});

test("limits of version 1", () => {
  expect(
    v1({
      pids: { limit: 100 },
      memory: { limit: 64 * mebibyte, swap: 96 * mebibyte, reservation: 32 * mebibyte, swappiness: 10 },
      cpu: { shares: 512, quota: 50000, period: 100000, cpus: "0-1", mems: "0" },
    }),
  ).toEqual([
    "pids.max 100",
    "memory.limit_in_bytes 67108864",
    "memory.memsw.limit_in_bytes 100663296",
    "memory.soft_limit_in_bytes 33554432",
    "memory.swappiness 10",
    "cpu.shares 512",
    "cpu.cfs_period_us 100000",
    "cpu.cfs_quota_us 50000",
    "cpuset.cpus 0-1",
    "cpuset.mems 0",
  ]);
});

test("limits of version 2, where swap is counted alone", () => {
  expect(
    v2({
      pids: { limit: 100 },
      memory: { limit: 64 * mebibyte, swap: 96 * mebibyte, reservation: 32 * mebibyte },
      cpu: { shares: 1024, quota: 50000, period: 100000, cpus: "0-1" },
      unified: { "memory.high": "50M" },
    }),
  ).toEqual([
    "pids.max 100",
    "memory.max 67108864",
    "memory.swap.max 33554432",
    "memory.low 33554432",
    "cpu.weight 100",
    "cpu.max 50000 100000",
    "cpuset.cpus 0-1",
    "memory.high 50M",
  ]);
});

test("-1 is no limit, 0 is not set", () => {
  expect(v2({ pids: { limit: -1 }, memory: { limit: -1, swap: -1 }, cpu: { quota: -1, period: 50000 } })).toEqual([
    "pids.max max",
    "memory.max max",
    "memory.swap.max max",
    "cpu.max max 50000",
  ]);
  expect(v1({ memory: { limit: 0, swap: 0 }, cpu: { shares: 0, quota: 0, period: 0 } })).toEqual([]);
});

test("shares and weights meet at the least, the usual and the most", () => {
  expect([0, 2, 1024, 262144, 1e9].map(weightOfShares)).toEqual([1, 1, 100, 10000, 10000]);
  for (let shares = 3; shares < 262144; shares += 997) {
    expect(weightOfShares(shares)).toBeGreaterThanOrEqual(weightOfShares(shares - 1));
  }
});

describe("refused", () => {
  test.each<[string, Resources]>([
    ["memory.limit", { memory: { limit: "64m" } }],
    ["memory.limit", { memory: { limit: 1.5 } }],
    ["memory.swappiness", { memory: { swappiness: 101 } }],
    ["pids.limit", { pids: { limit: "10" as unknown as number } }],
    ["cpu.cpus", { cpu: { cpus: "0\n1" } }],
    ["unified", { unified: { "../memory.max": "1" } }],
    ["unified", { unified: { "a/b.c": "1" } }],
  ])("a wrong %s: %j", (name, resources) => {
    expect(() => readLimits(resources)).toThrow(InvalidDocumentError);
    expect(() => readLimits(resources)).toThrow(`linux.resources.${name}`);
  });

  test("a limit that gocker does not set, rather than running without it", () => {
    expect(() => readLimits({ blockIO: { weight: 10 } })).toThrow("linux.resources.blockIO");
    expect(() => readLimits({ cpu: { realtimeRuntime: 1 } })).toThrow("linux.resources.cpu.realtimeRuntime");
  });

  test("swap on version 2 that is less than the memory, or without it", () => {
    expect(() => v2({ memory: { swap: mebibyte } })).toThrow(InvalidDocumentError);
    expect(() => v2({ memory: { limit: 2 * mebibyte, swap: mebibyte } })).toThrow("which it includes");
  });

  test("what only the other version has", () => {
    expect(() => refuseV1Only(readLimits({ memory: { swappiness: 1 } }))).toThrow(CgroupError);
    expect(() => refuseV1Only(readLimits({ memory: { disableOOMKiller: true } }))).toThrow("disableOOMKiller");
    expect(() => refuseV2Only(readLimits({ unified: { "memory.high": "1" } }))).toThrow("version 2");
  });
});

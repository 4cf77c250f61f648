import { expect, test } from "bun:test";
import type { Resources } from "../../../../../src/oci/runtime-spec.ts";
import { readLimits } from "../../../../../src/runtime/cgroup/limits/limits.ts";
import { type PresentBandwidth, systemdLimits } from "../../../../../src/runtime/cgroup/limits/systemd.ts";
import { v1Settings } from "../../../../../src/runtime/cgroup/limits/v1.ts";
import { v2Settings } from "../../../../../src/runtime/cgroup/limits/v2.ts";

const infinity = 18446744073709551615n;
const unsigned = (name: string, value: bigint) => [name, { signature: "t", value }];

function ofV1(resources: Resources, present?: PresentBandwidth): unknown[] {
  return systemdLimits(v1Settings(readLimits(resources)), present).map(({ property }) => property);
}

function ofV2(resources: Resources, present?: PresentBandwidth): unknown[] {
  return systemdLimits(v2Settings(readLimits(resources)), present).map(({ property }) => property);
}

test("limits of version 2 as properties", () => {
  expect(
    ofV2({
      pids: { limit: -1 },
      memory: { limit: 100, swap: 150, reservation: 50 },
      cpu: { shares: 1024, quota: 12345, period: 100000, cpus: "0-2,9", mems: "0" },
      blockIO: { weight: 10 },
      hugepageLimits: [{ pageSize: "2MB", limit: 0 }],
      unified: { "memory.high": "90", "memory.max": "95", "io.max": "8:0 rbps=1" },
    }),
  ).toEqual([
    unsigned("TasksMax", infinity),
    unsigned("MemorySwapMax", 50n),
    unsigned("MemoryMax", 95n),
    unsigned("MemoryLow", 50n),
    unsigned("CPUWeight", 100n),
    ["AllowedCPUs", { signature: "ay", value: [7, 2] }],
    ["AllowedMemoryNodes", { signature: "ay", value: [1] }],
    unsigned("IOWeight", 1n),
    unsigned("MemoryHigh", 90n),
    unsigned("CPUQuotaPerSecUSec", 130000n),
    unsigned("CPUQuotaPeriodUSec", 100000n),
  ]);
  expect(ofV2({ cpu: { quota: -1, idle: 1 } })).toEqual([
    unsigned("CPUWeight", 0n),
    unsigned("CPUQuotaPerSecUSec", infinity),
  ]);
});

test("limits of version 1 as properties", () => {
  expect(
    ofV1({
      pids: { limit: 7 },
      memory: { limit: -1, reservation: 50 },
      cpu: { shares: 512, quota: 50000, period: 200000 },
      blockIO: { weight: 500 },
    }),
  ).toEqual([
    unsigned("TasksMax", 7n),
    unsigned("MemoryLimit", infinity),
    unsigned("CPUShares", 512n),
    unsigned("BlockIOWeight", 500n),
    unsigned("CPUQuotaPerSecUSec", 250000n),
    unsigned("CPUQuotaPeriodUSec", 200000n),
  ]);
});

test("half of a bandwidth goes with the half that is there", () => {
  expect(ofV2({ cpu: { quota: 10000 } }, { quota: -1, period: 20000 })).toEqual([
    unsigned("CPUQuotaPerSecUSec", 500000n),
  ]);
  expect(ofV1({ cpu: { period: 20000 } }, { quota: 10000, period: 100000 })).toEqual([
    unsigned("CPUQuotaPerSecUSec", 500000n),
    unsigned("CPUQuotaPeriodUSec", 20000n),
  ]);
  expect(ofV1({ cpu: { period: 20000 } })).toEqual([
    unsigned("CPUQuotaPerSecUSec", infinity),
    unsigned("CPUQuotaPeriodUSec", 20000n),
  ]);
});

test("lists that only the kernel knows, or refuses, are left to it", () => {
  expect(ofV2({ cpu: { cpus: "0-15:2/4" } })).toEqual([]);
  expect(ofV2({ cpu: { cpus: "0-4294967295" } })).toEqual([]);
});

test("what newer versions of systemd know is told so", () => {
  const limits = systemdLimits(v2Settings(readLimits({ cpu: { quota: 5, period: 1000, cpus: "0", idle: 1 } })));
  expect(limits.map(({ property: [name], since }) => [name, since])).toEqual([
    ["CPUWeight", 252],
    ["AllowedCPUs", 244],
    ["CPUQuotaPerSecUSec", undefined],
    ["CPUQuotaPeriodUSec", 242],
  ]);
});

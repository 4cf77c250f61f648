import { expect, test } from "bun:test";
import { resourceFields } from "../../../../src/engine/inspect/resources.ts";

test("limits in Docker's names and units", () => {
  expect(
    resourceFields({
      memory: { limit: 64 * 2 ** 20, swap: -1, reservation: 1000, swappiness: 0, disableOOMKiller: true },
      cpu: { shares: 512, quota: 5000, period: 10_000, cpus: "0-1", mems: "0", realtimeRuntime: 1, realtimePeriod: 2 },
      pids: { limit: 100 },
      blockIO: {
        weight: 300,
        weightDevice: [{ major: 8, minor: 0, weight: 200 }],
        throttleReadBpsDevice: [{ major: 8, minor: 16, rate: 1e6 }],
      },
    }),
  ).toMatchObject({
    Memory: 67_108_864,
    MemorySwap: -1,
    MemoryReservation: 1000,
    MemorySwappiness: 0,
    OomKillDisable: true,
    CpuShares: 512,
    CpuQuota: 5000,
    CpuPeriod: 10_000,
    NanoCpus: 0,
    CpusetCpus: "0-1",
    CpusetMems: "0",
    CpuRealtimeRuntime: 1,
    CpuRealtimePeriod: 2,
    PidsLimit: 100,
    BlkioWeight: 300,
    BlkioWeightDevice: [{ Path: "/dev/block/8:0", Weight: 200 }],
    BlkioDeviceReadBps: [{ Path: "/dev/block/8:16", Rate: 1e6 }],
    BlkioDeviceWriteBps: [],
  });
});

test("what --cpus comes to is shown as that", () => {
  expect(resourceFields({ cpu: { quota: 150_000, period: 100_000 } })).toMatchObject({
    NanoCpus: 1.5e9,
    CpuQuota: 0,
    CpuPeriod: 0,
  });
  expect(resourceFields({ cpu: { quota: 50_000 } })).toMatchObject({ NanoCpus: 0, CpuQuota: 50_000, CpuPeriod: 0 });
});

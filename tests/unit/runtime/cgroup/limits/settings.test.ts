import { describe, expect, test } from "bun:test";
import type { Resources } from "../../../../../src/oci/runtime-spec.ts";
import { CgroupError } from "../../../../../src/runtime/cgroup/errors.ts";
import { readLimits } from "../../../../../src/runtime/cgroup/limits/limits.ts";
import type { Setting } from "../../../../../src/runtime/cgroup/limits/setting.ts";
import { v1Settings } from "../../../../../src/runtime/cgroup/limits/v1.ts";
import { ioWeight, type Present, v2Settings, weightOfShares } from "../../../../../src/runtime/cgroup/limits/v2.ts";
import { InvalidDocumentError } from "../../../../../src/util/errors.ts";

const lines = (settings: Setting[]): string[] => settings.map(({ file, value }) => `${file} ${value}`);
const v1 = (resources: Resources): string[] => lines(v1Settings(readLimits(resources)));
const v2 = (resources: Resources, present?: Present): string[] =>
  lines(v2Settings(readLimits(resources), () => true, present));

const mebibyte = 1024 * 1024;
const largest = 18446744073709551615n;
/** As JSON.parse reads it. */
const largestNumber = Number(largest);

test("nothing asked for is nothing written", () => {
  const empty = {
    devices: [{ allow: false }],
    memory: {},
    cpu: {},
    pids: {},
    blockIO: {},
    hugepageLimits: [],
    network: {},
    rdma: {},
    unified: {},
  } as unknown as Resources;
  expect(v1({})).toEqual([]);
  expect(v1(empty)).toEqual([]);
  expect(v2(empty)).toEqual([]);
  expect(readLimits(empty).notes).toEqual([]);
});

test("limits of version 1", () => {
  expect(
    v1({
      pids: { limit: 100 },
      memory: {
        limit: 64 * mebibyte,
        swap: 96 * mebibyte,
        reservation: 32 * mebibyte,
        kernelTCP: mebibyte,
        swappiness: 10,
        disableOOMKiller: true,
        useHierarchy: true,
      },
      cpu: {
        shares: 512,
        quota: 50000,
        period: 100000,
        burst: 1000,
        realtimeRuntime: 5000,
        realtimePeriod: 10000,
        idle: 0,
        cpus: "0-1",
        mems: "0",
      },
      hugepageLimits: [{ pageSize: "2MB", limit: 4 * mebibyte }],
      network: { classID: 1048577, priorities: [{ name: "eth0", priority: 5 }] },
      rdma: { mlx5_1: { hcaHandles: 3, hcaObjects: 10000 }, mlx4_0: { hcaObjects: 1000 }, none: {} },
    }),
  ).toEqual([
    "pids.max 100",
    "memory.use_hierarchy 1",
    "memory.limit_in_bytes 67108864",
    "memory.memsw.limit_in_bytes 100663296",
    "memory.soft_limit_in_bytes 33554432",
    "memory.kmem.tcp.limit_in_bytes 1048576",
    "memory.swappiness 10",
    "memory.oom_control 1",
    "cpu.rt_period_us 10000",
    "cpu.rt_runtime_us 5000",
    "cpu.shares 512",
    "cpu.idle 0",
    "cpu.cfs_period_us 100000",
    "cpu.cfs_burst_us 1000",
    "cpu.cfs_quota_us 50000",
    "cpuset.cpus 0-1",
    "cpuset.mems 0",
    "hugetlb.2MB.limit_in_bytes 4194304",
    "hugetlb.2MB.rsvd.limit_in_bytes 4194304",
    "rdma.max mlx5_1 hca_handle=3 hca_object=10000",
    "rdma.max mlx4_0 hca_object=1000",
    "net_cls.classid 1048577",
    "net_prio.ifpriomap eth0 5",
  ]);
});

test("limits of version 2, where swap is counted alone", () => {
  expect(
    v2({
      pids: { limit: 100 },
      memory: { limit: 64 * mebibyte, swap: 96 * mebibyte, reservation: 32 * mebibyte, useHierarchy: true },
      cpu: { shares: 1024, quota: 50000, period: 100000, burst: 1000, idle: 1, cpus: "0-1" },
      hugepageLimits: [{ pageSize: "1GB", limit: 0 }],
      rdma: { mlx5_1: { hcaHandles: 3 } },
      unified: { "memory.high": "50M", "io.max": "8:0 rbps=1\n8:16 wbps=2\n" },
    }),
  ).toEqual([
    "pids.max 100",
    "memory.swap.max 33554432",
    "memory.max 67108864",
    "memory.low 33554432",
    "cpu.weight 100",
    "cpu.idle 1",
    "cpu.max.burst 1000",
    "cpu.max 50000 100000",
    "cpuset.cpus 0-1",
    "hugetlb.1GB.max 0",
    "hugetlb.1GB.rsvd.max 0",
    "rdma.max mlx5_1 hca_handle=3",
    "memory.high 50M",
    "io.max 8:0 rbps=1",
    "io.max 8:16 wbps=2",
  ]);
});

describe("block devices", () => {
  const blockIO = {
    weight: 750,
    weightDevice: [{ major: 8, minor: 0, weight: 500 }],
    throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 600 }],
    throttleWriteBpsDevice: [{ major: 8, minor: 0, rate: 0 }],
    throttleReadIOPSDevice: [{ major: 8, minor: 16, rate: 100 }],
    throttleWriteIOPSDevice: [{ major: 8, minor: 16, rate: largestNumber }],
  };

  test("version 1", () => {
    const leafs = { leafWeight: 300, weightDevice: [{ major: 8, minor: 0, weight: 500, leafWeight: 300 }] };
    expect(v1({ blockIO: { ...blockIO, ...leafs } })).toEqual([
      "blkio.weight 750",
      "blkio.leaf_weight 300",
      "blkio.weight_device 8:0 500",
      "blkio.leaf_weight_device 8:0 300",
      "blkio.throttle.read_bps_device 8:0 600",
      "blkio.throttle.write_bps_device 8:0 0",
      "blkio.throttle.read_iops_device 8:16 100",
      "blkio.throttle.write_iops_device 8:16 0",
    ]);
    const [weight, device] = v1Settings(readLimits({ blockIO }));
    expect(weight?.alternative).toEqual({ file: "blkio.bfq.weight", value: "750" });
    expect(device?.alternative).toEqual({ file: "blkio.bfq.weight_device", value: "8:0 500" });
  });

  test("version 2, with the weights of either scheduler", () => {
    expect(v2({ blockIO })).toEqual([
      "io.bfq.weight 750",
      "io.bfq.weight 8:0 500",
      "io.max 8:0 rbps=600",
      "io.max 8:0 wbps=max",
      "io.max 8:16 riops=100",
      "io.max 8:16 wiops=max",
    ]);
    const [weight, device] = v2Settings(readLimits({ blockIO }));
    expect(weight?.alternative).toEqual({ file: "io.weight", value: "7475" });
    expect(device?.alternative).toEqual({ file: "io.weight", value: "8:0 4950" });
  });

  test("weights meet at the least and the most", () => {
    expect([10, 100, 1000].map(ioWeight)).toEqual([1, 910, 10000]);
  });
});

test("-1 is no limit, 0 is not set", () => {
  expect(v2({ pids: { limit: -1 }, memory: { limit: -1, swap: -1 }, cpu: { quota: -1, period: 50000 } })).toEqual([
    "pids.max max",
    "memory.swap.max max",
    "memory.max max",
    "cpu.max max 50000",
  ]);
  expect(v1({ memory: { limit: 0, swap: 0 }, cpu: { shares: 0, quota: 0, period: 0 } })).toEqual([]);
});

test("no process at all is one, as with runc", () => {
  expect(v1({ pids: { limit: 0 } })).toEqual(["pids.max 1"]);
  expect(v2({ pids: { limit: 0 } })).toEqual(["pids.max 1"]);
});

test.each([largest as unknown as number, largestNumber, 9223372036854771712])("%d is no limit", (limit) => {
  expect(v1({ memory: { limit } })[0]).toBe("memory.limit_in_bytes -1");
  expect(v2({ memory: { limit }, pids: { limit }, hugepageLimits: [{ pageSize: "2MB", limit }] })).toEqual([
    "pids.max max",
    "memory.swap.max max",
    "memory.max max",
    "hugetlb.2MB.max max",
    "hugetlb.2MB.rsvd.max max",
  ]);
  expect(v1({ cpu: { shares: limit } })).toEqual(["cpu.shares 262144"]);
  expect(v2({ cpu: { shares: limit } })).toEqual(["cpu.weight 10000"]);
  expect(v1({ memory: { swappiness: limit } })).toEqual([]);
});

describe("swap", () => {
  test("memory without limit is swap without limit", () => {
    expect(v1({ memory: { limit: -1 } })).toEqual(["memory.limit_in_bytes -1", "memory.memsw.limit_in_bytes -1"]);
    expect(v2({ memory: { limit: -1 } })).toEqual(["memory.swap.max max", "memory.max max"]);
  });

  test.each<[memory: Record<string, number>, present: string | undefined, swap: string]>([
    [{ limit: 100, swap: 100 }, undefined, "0"],
    [{ limit: 100, swap: -1 }, undefined, "max"],
    [{ limit: -1, swap: 300 }, undefined, "300"],
    [{ swap: -1 }, undefined, "max"],
    [{ swap: 300 }, "100", "200"],
  ])("version 2: %j of a cgroup with %p is %s", (memory, memoryMax, swap) => {
    expect(v2({ memory }, { memoryMax })).toContain(`memory.swap.max ${swap}`);
  });

  test.each<[memory: Record<string, number>, present: string | undefined, message: string]>([
    [{ swap: mebibyte }, undefined, "memory.limit is not"],
    [{ swap: mebibyte }, "max", "memory.limit is not"],
    [{ swap: mebibyte }, String(2 * mebibyte), "which it includes"],
    [{ limit: 2 * mebibyte, swap: mebibyte }, undefined, "which it includes"],
  ])("version 2: %j of a cgroup with %p is refused", (memory, memoryMax, message) => {
    expect(() => v2({ memory }, { memoryMax })).toThrow(InvalidDocumentError);
    expect(() => v2({ memory }, { memoryMax })).toThrow(message);
  });

  test("a kernel without swap has none to limit", () => {
    const optional = (memory: Record<string, number>): boolean | undefined =>
      v2Settings(readLimits({ memory })).find(({ file }) => file === "memory.swap.max")?.ifPresent;
    expect([{ limit: 5, swap: 5 }, { swap: -1 }, { limit: 5, swap: 6 }].map(optional)).toEqual([true, true, undefined]);
  });
});

test("a period or a quota alone leaves the other", () => {
  expect(v2({ cpu: { period: 50000 } }, { cpuMax: "20000 100000" })).toEqual(["cpu.max 20000 50000"]);
  expect(v2({ cpu: { period: 50000 } })).toEqual(["cpu.max max 50000"]);
  expect(v2({ cpu: { quota: 5000 } })).toEqual(["cpu.max 5000"]);
  expect(v2({ cpu: { quota: -1 } })).toEqual(["cpu.max max"]);
  expect(v1({ cpu: { period: 50000 } })).toEqual(["cpu.cfs_period_us 50000"]);
});

test("what only fits together is tried again, when both are given", () => {
  const retries = (resources: Resources): (string | undefined)[] =>
    v1Settings(readLimits(resources)).map(({ retryAfter }) => retryAfter);
  expect(retries({ memory: { limit: 5 } })).toEqual([undefined]);
  expect(retries({ memory: { limit: 5, swap: 6 } })).toEqual(["memory.memsw.limit_in_bytes", undefined]);
  expect(retries({ cpu: { period: 5 } })).toEqual([undefined]);
  expect(retries({ cpu: { period: 5, quota: 6 } })).toEqual(["cpu.cfs_quota_us", undefined]);
  expect(retries({ cpu: { realtimePeriod: 5, realtimeRuntime: 6 } })).toEqual(["cpu.rt_runtime_us", undefined]);
  expect(retries({ cpu: { shares: 5, idle: 0 } })).toEqual(["cpu.idle", undefined]);
});

test("shares and weights meet at the least, the usual and the most", () => {
  expect([0, 2, 1024, 262144, 1e9].map(weightOfShares)).toEqual([1, 1, 100, 10000, 10000]);
  for (let shares = 3; shares < 262144; shares += 997) {
    expect(weightOfShares(shares)).toBeGreaterThanOrEqual(weightOfShares(shares - 1));
  }
});

test("each version has its controllers alone on a hybrid host", () => {
  const limits = readLimits({ pids: { limit: 5 }, cpu: { shares: 1024, cpus: "0" } });
  const isV1 = (controller: string): boolean => controller === "cpu";
  expect(lines(v1Settings(limits, isV1))).toEqual(["cpu.shares 1024"]);
  expect(lines(v2Settings(limits, (controller) => !isV1(controller)))).toEqual(["pids.max 5", "cpuset.cpus 0"]);
});

test("names are found whatever their capitals", () => {
  const resources = { CPU: { Cpus: "0" }, hugepageLimits: [{ pagesize: "2MB", limit: 1 }] } as unknown as Resources;
  expect(v2(resources)).toEqual(["cpuset.cpus 0", "hugetlb.2MB.max 1", "hugetlb.2MB.rsvd.max 1"]);
});

test("what has no effect is told", () => {
  const resources = { memory: { kernel: 5, other: 6 }, future: {} } as unknown as Resources;
  expect(readLimits(resources).notes).toEqual([
    "linux.resources.future is not known and has no effect",
    "linux.resources.memory.other is not known and has no effect",
    "linux.resources.memory.kernel has no effect: kernels do not limit it apart from other memory (Linux 5.16)",
  ]);
});

describe("refused", () => {
  test.each<[string, unknown]>([
    ["memory", { memory: 5 }],
    ["memory", { memory: [] }],
    ["memory.limit", { memory: { limit: "64m" } }],
    ["memory.limit", { memory: { limit: 1.5 } }],
    ["memory.limit", { memory: { limit: -2 } }],
    ["memory.swappiness", { memory: { swappiness: 101 } }],
    ["memory.disableOOMKiller", { memory: { disableOOMKiller: 1 } }],
    ["pids.limit", { pids: { limit: "10" } }],
    ["pids.limit", { pids: { limit: -2 } }],
    ["cpu.cpus", { cpu: { cpus: "0\n1" } }],
    ["cpu.idle", { cpu: { idle: 2 } }],
    ["cpu.idle", { cpu: { idle: -1 } }],
    ["cpu.period", { cpu: { period: -1 } }],
    ["blockIO.weight", { blockIO: { weight: 9 } }],
    ["blockIO.weight", { blockIO: { weight: 1001 } }],
    ["blockIO.weightDevice", { blockIO: { weightDevice: {} } }],
    ["blockIO.weightDevice[0].major", { blockIO: { weightDevice: [{ minor: 0, weight: 10 }] } }],
    ["blockIO.throttleReadBpsDevice[1].rate", { blockIO: { throttleReadBpsDevice: [one(), { ...one(), rate: -1 }] } }],
    ["blockIO.throttleReadBpsDevice[0].rate", { blockIO: { throttleReadBpsDevice: [{ major: 1, minor: 1 }] } }],
    ["hugepageLimits[0].pageSize", { hugepageLimits: [{ pageSize: "2M/", limit: 1 }] }],
    ["hugepageLimits[0].limit", { hugepageLimits: [{ pageSize: "2MB" }] }],
    ["network.classID", { network: { classID: 4294967296 } }],
    ["network.priorities[0].name", { network: { priorities: [{ name: "eth0 1", priority: 1 }] } }],
    ["network.priorities[0].priority", { network: { priorities: [{ name: "eth0" }] } }],
    ["rdma", { rdma: { "a b": { hcaHandles: 1 } } }],
    ["rdma.a.hcaHandles", { rdma: { a: { hcaHandles: -1 } } }],
    ["unified", { unified: { "../memory.max": "1" } }],
    ["unified", { unified: { "a/b.c": "1" } }],
    ['unified["memory.max"]', { unified: { "memory.max": 1 } }],
  ])("a wrong %s: %j", (name, resources) => {
    expect(() => readLimits(resources as Resources)).toThrow(InvalidDocumentError);
    expect(() => readLimits(resources as Resources)).toThrow(`linux.resources.${name}`);
  });

  test.each<[string, Resources]>([
    ["memory.swappiness", { memory: { swappiness: 1 } }],
    ["memory.disableOOMKiller", { memory: { disableOOMKiller: true } }],
    ["memory.useHierarchy", { memory: { useHierarchy: false } }],
    ["cpu.realtimeRuntime", { cpu: { realtimeRuntime: 1 } }],
    ["cpu.realtimePeriod", { cpu: { realtimePeriod: 1 } }],
    ["blockIO.leafWeight", { blockIO: { leafWeight: 10 } }],
    ["blockIO.weightDevice[0].leafWeight", { blockIO: { weightDevice: [{ major: 1, minor: 1, leafWeight: 10 }] } }],
    ["network.classID", { network: { classID: 1 } }],
    ["network.priorities", { network: { priorities: [{ name: "lo", priority: 1 }] } }],
  ])("%s on version 2", (name, resources) => {
    expect(() => v2(resources)).toThrow(CgroupError);
    expect(() => v2(resources)).toThrow(`linux.resources.${name} exists in cgroups of version 1 only`);
  });

  test("a file of version 2 whose controller is one of version 1", () => {
    const limits = readLimits({ unified: { "memory.high": "1" } });
    expect(() => v2Settings(limits, (controller) => controller !== "memory")).toThrow(
      'invalid configuration: linux.resources.unified["memory.high"] exists in cgroups of version 2 only',
    );
  });
});

function one(): object {
  return { major: 1, minor: 1, rate: 1 };
}

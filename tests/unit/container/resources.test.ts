import { describe, expect, test } from "bun:test";
import { parseNumberList, type ResourceHost, resourceHost } from "../../../src/container/resource-host.ts";
import type { ResourceOptions } from "../../../src/container/resource-options.ts";
import { askedResources, mergeResources, newResources } from "../../../src/container/resources.ts";
import type { Resources } from "../../../src/oci/runtime-spec.ts";
import { readLimits } from "../../../src/runtime/cgroup/limits/limits.ts";
import { v1Settings } from "../../../src/runtime/cgroup/limits/v1.ts";
import { v2Settings } from "../../../src/runtime/cgroup/limits/v2.ts";
import { UsageError } from "../../../src/util/errors.ts";

const mebibyte = 2 ** 20;

/** Four processors, one memory node, and the devices /dev/a and /dev/b. */
function hostWith(change: Partial<ResourceHost> = {}): ResourceHost {
  return {
    blockDevice(path, flag) {
      const minor = ["/dev/a", "/dev/b"].indexOf(path);
      if (minor < 0) throw new UsageError(`${flag}: there is no device ${path}`);
      return { major: 8, minor: 16 * minor };
    },
    processors: () => new Set([0, 1, 2, 3]),
    memoryNodes: () => new Set([0]),
    countsSwap: () => true,
    ...change,
  };
}

const host = hostWith();

const everything: ResourceOptions = {
  memory: 64 * mebibyte,
  memorySwap: 96 * mebibyte,
  memoryReservation: 32 * mebibyte,
  memorySwappiness: 10,
  oomKillDisable: true,
  cpus: 1.5,
  cpuShares: 512,
  cpuRtPeriod: 1_000_000,
  cpuRtRuntime: 20_000,
  cpusetCpus: "0-1,3",
  cpusetMems: "0",
  pidsLimit: 100,
  blkioWeight: 300,
  blkioWeightDevice: [{ path: "/dev/a", value: 200 }],
  deviceReadBps: [{ path: "/dev/a", value: mebibyte }],
  deviceWriteBps: [{ path: "/dev/b", value: 2 * mebibyte }],
  deviceReadIops: [{ path: "/dev/b", value: 10 }],
  deviceWriteIops: [{ path: "/dev/b", value: 0 }],
};

/** What the kernel's files get. */
const v1 = (resources: Resources) => v1Settings(readLimits(resources)).map(({ file, value }) => `${file} ${value}`);
const v2 = (resources: Resources) => v2Settings(readLimits(resources)).map(({ file, value }) => `${file} ${value}`);

describe("the limits of a new container", () => {
  test("in the specification's words", () => {
    expect(newResources(everything, host)).toEqual({
      memory: {
        limit: 64 * mebibyte,
        swap: 96 * mebibyte,
        reservation: 32 * mebibyte,
        swappiness: 10,
        disableOOMKiller: true,
      },
      cpu: {
        shares: 512,
        period: 100_000,
        quota: 150_000,
        realtimePeriod: 1_000_000,
        realtimeRuntime: 20_000,
        cpus: "0-1,3",
        mems: "0",
      },
      pids: { limit: 100 },
      blockIO: {
        weight: 300,
        weightDevice: [{ major: 8, minor: 0, weight: 200 }],
        throttleReadBpsDevice: [{ major: 8, minor: 0, rate: mebibyte }],
        throttleWriteBpsDevice: [{ major: 8, minor: 16, rate: 2 * mebibyte }],
        throttleReadIOPSDevice: [{ major: 8, minor: 16, rate: 10 }],
        throttleWriteIOPSDevice: [{ major: 8, minor: 16, rate: 0 }],
      },
    });
  });

  test("in files of version 1", () => {
    expect(v1(newResources(everything, host))).toEqual([
      "pids.max 100",
      `memory.limit_in_bytes ${64 * mebibyte}`,
      `memory.memsw.limit_in_bytes ${96 * mebibyte}`,
      `memory.soft_limit_in_bytes ${32 * mebibyte}`,
      "memory.swappiness 10",
      "memory.oom_control 1",
      "cpu.rt_period_us 1000000",
      "cpu.rt_runtime_us 20000",
      "cpu.shares 512",
      "cpu.cfs_period_us 100000",
      "cpu.cfs_quota_us 150000",
      "cpuset.cpus 0-1,3",
      "cpuset.mems 0",
      "blkio.weight 300",
      "blkio.weight_device 8:0 200",
      `blkio.throttle.read_bps_device 8:0 ${mebibyte}`,
      `blkio.throttle.write_bps_device 8:16 ${2 * mebibyte}`,
      "blkio.throttle.read_iops_device 8:16 10",
      "blkio.throttle.write_iops_device 8:16 0",
    ]);
  });

  test("in files of version 2, which has some of them not", () => {
    const { memorySwappiness: _, oomKillDisable: _1, cpuRtPeriod: _2, cpuRtRuntime: _3, ...both } = everything;
    expect(v2(newResources(both, host))).toEqual([
      "pids.max 100",
      `memory.swap.max ${32 * mebibyte}`,
      `memory.max ${64 * mebibyte}`,
      `memory.low ${32 * mebibyte}`,
      "cpu.weight 59",
      "cpu.max 150000 100000",
      "cpuset.cpus 0-1,3",
      "cpuset.mems 0",
      "io.bfq.weight 300",
      "io.bfq.weight 8:0 200",
      `io.max 8:0 rbps=${mebibyte}`,
      `io.max 8:16 wbps=${2 * mebibyte}`,
      "io.max 8:16 riops=10",
      "io.max 8:16 wiops=max",
    ]);
  });

  test("as much swap as memory, where the kernel counts it", () => {
    const options = { memory: 10 * mebibyte };
    expect(newResources(options, host).memory).toEqual({ limit: 10 * mebibyte, swap: 20 * mebibyte });
    expect(newResources(options, hostWith({ countsSwap: () => false })).memory).toEqual({ limit: 10 * mebibyte });
    expect(v1(newResources({ ...options, memorySwap: -1 }, host))).toEqual([
      `memory.limit_in_bytes ${10 * mebibyte}`,
      "memory.memsw.limit_in_bytes -1",
    ]);
    expect(v2(newResources({ ...options, memorySwap: -1 }, host))).toEqual([
      "memory.swap.max max",
      `memory.max ${10 * mebibyte}`,
    ]);
    expect(v2(newResources({ ...options, memorySwap: 10 * mebibyte }, host))).toContain("memory.swap.max 0");
  });

  test("no limit of processes is none in the specification", () => {
    expect(newResources({ pidsLimit: -1 }, host)).toEqual({});
  });

  test.each([
    [0.01, 1000],
    [0.1, 10_000],
    [0.123456789, 12_345],
    [2.3, 230_000],
    [4, 400_000],
  ])("%p processors", (cpus, quota) => {
    expect(newResources({ cpus }, host).cpu).toEqual({ period: 100_000, quota });
  });

  test.each([
    [{ cpus: 4.01 }, "--cpus must be from 0.01 to 4, not 4.01"],
    [{ cpus: 0.001 }, "--cpus must be from 0.01 to 4, not 0.001"],
    [{ cpusetCpus: "0,3-4" }, "--cpuset-cpus 0,3-4 names what this machine does not have: there are 0, 1, 2, 3"],
    [{ cpusetMems: "1" }, "--cpuset-mems 1 names what this machine does not have: there are 0"],
    [{ deviceReadBps: [{ path: "/dev/c", value: 1 }] }, "--device-read-bps: there is no device /dev/c"],
  ] satisfies [ResourceOptions, string][])("%j is refused", (options, message) => {
    expect(() => newResources(options, host)).toThrow(new UsageError(message));
  });
});

describe("the limits of a container that has some", () => {
  const present: Resources = {
    devices: [{ allow: false, access: "rwm" }],
    memory: { limit: 64 * mebibyte, swap: 128 * mebibyte },
    cpu: { shares: 100, period: 50_000, quota: 20_000 },
    pids: { limit: 10 },
  };
  const changed = (options: ResourceOptions, of = present) => {
    const asked = askedResources(of, options, host);
    return { asked, merged: mergeResources(of, asked) };
  };

  test("the others stay, and what they depend on is asked for too", () => {
    const memory = { limit: 32 * mebibyte, swap: 128 * mebibyte };
    expect(changed({ memory: 32 * mebibyte })).toEqual({ asked: { memory }, merged: { ...present, memory } });
    const cpu = { shares: 100, period: 100_000, quota: 50_000 };
    expect(changed({ cpus: 0.5 })).toEqual({ asked: { cpu }, merged: { ...present, cpu } });
    const blockIO = { weight: 500 };
    expect(changed({ blkioWeight: 500 })).toEqual({ asked: { blockIO }, merged: { ...present, blockIO } });
  });

  test("a limit of processes is taken away in force, and in the specification", () => {
    const { pids: _, ...rest } = present;
    expect(changed({ pidsLimit: -1 })).toEqual({ asked: { pids: { limit: -1 } }, merged: rest });
  });

  test("the first limit of memory brings one of swap", () => {
    const memory = { limit: 8 * mebibyte, swap: 16 * mebibyte };
    expect(changed({ memory: 8 * mebibyte }, {}).asked).toEqual({ memory });
  });

  test.each([
    [{ memory: 129 * mebibyte }, "--memory-swap (134217728 bytes) is less than --memory (135266304 bytes)"],
    [{ memorySwap: 63 * mebibyte }, "--memory-swap (66060288 bytes) is less than --memory (67108864 bytes)"],
    [
      { memoryReservation: 65 * mebibyte },
      "--memory (67108864 bytes) is less than --memory-reservation (68157440 bytes)",
    ],
  ])("what does not fit them is refused: %j", (options, message) => {
    expect(() => changed(options)).toThrow(new UsageError(message));
  });

  test("unlimited swap fits any memory", () => {
    const unlimited: Resources = { memory: { limit: 64 * mebibyte, swap: -1 } };
    expect(changed({ memory: 512 * mebibyte }, unlimited).asked.memory).toEqual({ limit: 512 * mebibyte, swap: -1 });
    expect(changed({ memorySwap: 512 * mebibyte }, unlimited).merged.memory).toEqual({
      limit: 64 * mebibyte,
      swap: 512 * mebibyte,
    });
  });
});

test.each([
  ["0-3,7\n", [0, 1, 2, 3, 7]],
  ["0", [0]],
  ["\n", []],
] as const)("the numbers of %j", (text, numbers) => {
  expect([...parseNumberList(text)]).toEqual([...numbers]);
});

test("this machine has processors, memory nodes, and no block device /dev/null", () => {
  expect(resourceHost.processors().has(0)).toBe(true);
  expect(resourceHost.memoryNodes().has(0)).toBe(true);
  expect(() => resourceHost.blockDevice("/dev/null", "--device-read-bps")).toThrow(
    new UsageError("--device-read-bps: /dev/null is no block device"),
  );
  expect(() => resourceHost.blockDevice("/dev/nothing", "--device-read-bps")).toThrow(
    new UsageError("--device-read-bps: there is no device /dev/nothing"),
  );
});

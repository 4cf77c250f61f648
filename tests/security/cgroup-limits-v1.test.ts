import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { CgroupError } from "../../src/runtime/cgroup/errors.ts";
import { openCgroup } from "../../src/runtime/cgroup/open.ts";
import {
  cleanUpCgroups,
  fileOf,
  has,
  hasV1,
  made,
  parent,
  root,
  startIn,
  valueOf,
  values,
} from "../helpers/cgroups.ts";

/*
 * What a kernel makes of a value is what these are about, so that each test reads the kernel's own files.
 */

afterAll(cleanUpCgroups);

const mebibyte = 1024 * 1024;

describe.skipIf(!hasV1("memory"))("memory of version 1", () => {
  const files = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes"];
  const unlimited = "9223372036854771712";

  test("limits go up and down, whichever has to be first", async () => {
    using cgroup = made();
    const steps: [limit: number, swap: number][] = [
      [64, 96],
      [128, 160],
      [32, 48],
      [48, 48],
      [16, 300],
    ];
    for (const [limit, swap] of steps) {
      await cgroup.updateResources({ memory: { limit: limit * mebibyte, swap: swap * mebibyte } });
      expect(values(cgroup, ...files.slice(0, 2))).toEqual([String(limit * mebibyte), String(swap * mebibyte)]);
    }
    await cgroup.updateResources({ memory: { limit: -1 } });
    expect(values(cgroup, ...files)).toEqual([unlimited, unlimited, unlimited]);
  });

  test("what is not given stays, and Go's largest number is no limit", async () => {
    using cgroup = made();
    await cgroup.applyResources({
      memory: { limit: 64 * mebibyte, reservation: 32 * mebibyte, swappiness: 7, disableOOMKiller: true },
    });
    await cgroup.updateResources({ memory: { reservation: 16 * mebibyte } });
    expect(values(cgroup, ...files)).toEqual([String(64 * mebibyte), unlimited, String(16 * mebibyte)]);
    expect(valueOf(cgroup, "memory.swappiness")).toBe("7");
    expect(valueOf(cgroup, "memory.oom_control")).toStartWith("oom_kill_disable 1");
    await cgroup.updateResources({ memory: { limit: 2 ** 64, disableOOMKiller: false } });
    expect(valueOf(cgroup, "memory.limit_in_bytes")).toBe(unlimited);
    expect(valueOf(cgroup, "memory.oom_control")).toStartWith("oom_kill_disable 0");
  });

  test("a limit that cannot be has no effect, nor have those that came with it", async () => {
    using cgroup = made();
    await cgroup.applyResources({ memory: { limit: 64 * mebibyte, swap: 64 * mebibyte, disableOOMKiller: true } });
    const memory = { limit: 32 * mebibyte, swap: 16 * mebibyte, reservation: mebibyte };
    const failure = cgroup.updateResources({ pids: { limit: 5 }, memory });
    await expect(failure).rejects.toThrow(CgroupError);
    await expect(failure).rejects.toThrow(/linux\.resources\.memory\.swap cannot be set in the memory controller/);
    expect(values(cgroup, ...files)).toEqual([String(64 * mebibyte), String(64 * mebibyte), unlimited]);
    if (has("pids")) expect(valueOf(cgroup, "pids.max")).toBe("max");
    expect(valueOf(cgroup, "memory.oom_control")).toStartWith("oom_kill_disable 1");
  });

  test("an out-of-memory kill is told, and the end of the cgroup", async () => {
    using cgroup = made();
    await cgroup.applyResources({ memory: { limit: 8 * mebibyte, swap: 8 * mebibyte } });
    let kills = 0;
    const oom = Promise.withResolvers<void>();
    using watch = await cgroup.watchOom(() => {
      kills++;
      oom.resolve();
    });
    const hog = startIn(cgroup, ["memory"], "exec head -c 100000000 /dev/zero | tail -c 100000000");
    await oom.promise;
    await hog.exited;
    expect(kills).toBeGreaterThan(0);
    const { memory } = await cgroup.statistics();
    expect(memory.usage).toMatchObject({ limit: 8 * mebibyte, max: 8 * mebibyte });
    const before = kills;
    cgroup.kill();
    cgroup.remove();
    await watch.ended;
    expect(kills).toBe(before);
  });

  test("a watch that nobody wants any more ends", async () => {
    using cgroup = made();
    const watch = await cgroup.watchOom(() => expect.unreachable());
    watch[Symbol.dispose]();
    watch[Symbol.dispose]();
    await watch.ended;
  });
});

describe.skipIf(!hasV1("cpu"))("processors of version 1", () => {
  const files = ["cpu.cfs_quota_us", "cpu.cfs_period_us"];

  test("quota and period change within what the cgroup above has, whichever has to be first", async () => {
    using above = made();
    await above.applyResources({ cpu: { quota: 50000, period: 100000 } });
    using cgroup = made(`${above.path}/pod`);
    const steps: [quota: number, period: number][] = [
      [45000, 100000],
      [3000, 10000],
      [45000, 100000],
      [500000, 1000000],
    ];
    for (const [quota, period] of steps) {
      await cgroup.updateResources({ cpu: { quota, period } });
      expect(values(cgroup, ...files)).toEqual([String(quota), String(period)]);
    }
    await expect(cgroup.updateResources({ cpu: { quota: 600000 } })).rejects.toThrow("linux.resources.cpu.quota");
    await expect(cgroup.updateResources({ cpu: { shares: 77, period: 20000 } })).rejects.toThrow("cpu.period");
    expect(values(cgroup, ...files, "cpu.shares")).toEqual(["500000", "1000000", "1024"]);
  });

  test("burst and quota", async () => {
    using cgroup = made();
    await cgroup.updateResources({ cpu: { quota: 5000, burst: 5000 } });
    await cgroup.updateResources({ cpu: { quota: 20000, burst: 20000 } });
    expect(values(cgroup, "cpu.cfs_quota_us", "cpu.cfs_burst_us")).toEqual(["20000", "20000"]);
    await cgroup.updateResources({ cpu: { quota: 3000, burst: 0 } });
    expect(values(cgroup, "cpu.cfs_quota_us", "cpu.cfs_burst_us")).toEqual(["3000", "0"]);
  });

  test("idle and shares", async () => {
    using cgroup = made();
    await cgroup.updateResources({ cpu: { idle: 1 } });
    expect(valueOf(cgroup, "cpu.idle")).toBe("1");
    await cgroup.updateResources({ cpu: { idle: 0, shares: 512 } });
    expect(values(cgroup, "cpu.idle", "cpu.shares")).toEqual(["0", "512"]);
  });

  test.skipIf(!existsSync("/sys/fs/cgroup/cpu/cpu.rt_runtime_us"))("realtime", async () => {
    using above = made();
    using cgroup = made(`${above.path}/pod`);
    await expect(cgroup.updateResources({ cpu: { realtimeRuntime: 5000 } })).rejects.toMatchObject({
      message: expect.stringContaining("linux.resources.cpu.realtimeRuntime"),
      hint: expect.stringContaining("cpu.rt_runtime_us"),
    });
    for (const path of [parent, above.path]) {
      await openCgroup(path).updateResources({ cpu: { realtimeRuntime: 900000 } });
    }
    await cgroup.updateResources({ cpu: { realtimePeriod: 900001, realtimeRuntime: 600001 } });
    await cgroup.updateResources({ cpu: { realtimePeriod: 10000, realtimeRuntime: 3000 } });
    await cgroup.updateResources({ cpu: { realtimePeriod: 100000, realtimeRuntime: 20000 } });
    expect(values(cgroup, "cpu.rt_period_us", "cpu.rt_runtime_us")).toEqual(["100000", "20000"]);
    await cgroup.updateResources({ cpu: { realtimeRuntime: 0 } });
    expect(valueOf(cgroup, "cpu.rt_runtime_us")).toBe("20000");
  });

  test.skipIf(!existsSync("/sys/fs/cgroup/cpu/cpu.rt_runtime_us"))("realtime of gocker's own cgroup", async () => {
    const names = ["a", "b"].map((name) => `/gocker/realtime-${name}-${process.pid}`);
    const given = () => readFileSync("/sys/fs/cgroup/cpu/gocker/cpu.rt_runtime_us", "utf8").trim();
    using first = openCgroup(names[0] as string);
    using second = openCgroup(names[1] as string);
    try {
      for (const cgroup of [first, second]) {
        cgroup.create();
        await cgroup.applyResources({ cpu: { realtimeRuntime: 1000, realtimePeriod: 100_000 } });
        expect(valueOf(cgroup, "cpu.rt_runtime_us")).toBe("1000");
      }
      await first.updateResources({ cpu: { realtimeRuntime: 2000 } });
      expect(valueOf(first, "cpu.rt_runtime_us")).toBe("2000");
      await expect(first.updateResources({ cpu: { realtimeRuntime: 99_000 } })).rejects.toThrow("cpu.rt_runtime_us");
      expect(given()).toBe("30000");
    } finally {
      for (const cgroup of [first, second]) cgroup.remove();
    }
    expect(given()).toBe("0");
  });
});

describe.skipIf(!hasV1("blkio"))("block devices of version 1", () => {
  const numbers = root ? blockDevice() : undefined;

  test.skipIf(numbers === undefined)("rates by device change, stay and are put back", async () => {
    using cgroup = made();
    const device = { major: Number(numbers?.split(":")[0]), minor: Number(numbers?.split(":")[1]) };
    const reads = "blkio.throttle.read_bps_device";
    const writes = "blkio.throttle.write_iops_device";
    await cgroup.applyResources({ blockIO: { throttleReadBpsDevice: [{ ...device, rate: 1000000 }] } });
    await cgroup.updateResources({ blockIO: { throttleWriteIOPSDevice: [{ ...device, rate: 100 }] } });
    expect(values(cgroup, reads, writes)).toEqual([`${numbers} 1000000`, `${numbers} 100`]);
    const wrong = { major: 4095, minor: 1048575, rate: 5 };
    const failure = cgroup.updateResources({
      blockIO: {
        throttleReadBpsDevice: [{ ...device, rate: 5 }],
        throttleReadIOPSDevice: [{ ...device, rate: 7 }],
        throttleWriteIOPSDevice: [wrong],
      },
    });
    await expect(failure).rejects.toThrow("linux.resources.blockIO.throttleWriteIOPSDevice[0]");
    expect(values(cgroup, reads, "blkio.throttle.read_iops_device")).toEqual([`${numbers} 1000000`, ""]);
    await cgroup.updateResources({ blockIO: { throttleReadBpsDevice: [{ ...device, rate: 0 }] } });
    expect(valueOf(cgroup, reads)).toBe("");
  });

  test("a weight is the scheduler's own", async () => {
    using cgroup = made();
    const file = ["blkio.weight", "blkio.bfq.weight"].find((name) => existsSync(fileOf(cgroup, name)));
    if (file === undefined) {
      await expect(cgroup.applyResources({ blockIO: { weight: 750 } })).rejects.toThrow(
        "linux.resources.blockIO.weight",
      );
      return;
    }
    await cgroup.applyResources({ blockIO: { weight: 750 } });
    expect(valueOf(cgroup, file)).toBe("750");
  });
});

function blockDevice(): string | undefined {
  const found = /^\s*(\d+)\s+(\d+)\s+\d+ (?:vd|sd|nvme\d+n|xvd)[a-z0-9]*$/m.exec(
    readFileSync("/proc/partitions", "utf8"),
  );
  return found === null ? undefined : `${found[1]}:${found[2]}`;
}

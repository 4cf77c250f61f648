import { afterAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { cleanUpCgroups, fileOf, hasV2, made, startIn, valueOf, values } from "../helpers/cgroups.ts";
import { until } from "../helpers/until.ts";

/*
 * What a kernel makes of a value is what these are about, so that each test reads the kernel's own files.
 */

afterAll(cleanUpCgroups);

const mebibyte = 1024 * 1024;

describe.skipIf(!hasV2("memory"))("memory of version 2", () => {
  test("limits go up and down, swap is counted alone, and what is not given stays", async () => {
    using cgroup = made();
    await cgroup.applyResources({ memory: { limit: 64 * mebibyte, reservation: 32 * mebibyte } });
    await cgroup.updateResources({ memory: { limit: 128 * mebibyte, swap: 160 * mebibyte } });
    await cgroup.updateResources({ memory: { limit: 32 * mebibyte } });
    expect(values(cgroup, "memory.max", "memory.low")).toEqual([String(32 * mebibyte), String(32 * mebibyte)]);
    expect(valueOf(cgroup, "memory.swap.max")).toBe(String(32 * mebibyte));
    await cgroup.updateResources({ memory: { swap: 40 * mebibyte } });
    expect(valueOf(cgroup, "memory.swap.max")).toBe(String(8 * mebibyte));
    await cgroup.updateResources({ memory: { limit: -1 } });
    expect(values(cgroup, "memory.max", "memory.low")).toEqual(["max", String(32 * mebibyte)]);
    expect(valueOf(cgroup, "memory.swap.max")).toBe("max");
  });

  test("a file that is none leaves everything as it was", async () => {
    using cgroup = made();
    await cgroup.applyResources({ memory: { limit: 64 * mebibyte }, cpu: { quota: 5000 } });
    const failure = cgroup.updateResources({
      memory: { limit: 32 * mebibyte },
      cpu: { shares: 512, period: 50000 },
      unified: { "memory.DOESNTEXIST": "baz" },
    });
    await expect(failure).rejects.toThrow(/linux\.resources\.unified.*no such file or directory/);
    expect(values(cgroup, "memory.max", "cpu.weight", "cpu.max")).toEqual([
      String(64 * mebibyte),
      "100",
      "5000 100000",
    ]);
  });

  test("an out-of-memory kill is told, and the end of the cgroup", async () => {
    using cgroup = made();
    await cgroup.applyResources({ memory: { limit: 8 * mebibyte, swap: 8 * mebibyte } });
    let kills = 0;
    const oom = Promise.withResolvers<void>();
    const hog = startIn(
      cgroup,
      ["cgroup"],
      "sleep 0.3; head -c 100000000 /dev/zero | tail -c 100000000; exec sleep 20",
    );
    await until("the processes run", () => cgroup.processes().length > 0);
    using watch = await cgroup.watchOom(() => {
      kills++;
      oom.resolve();
    });
    await oom.promise;
    expect(kills).toBe(1);
    expect((await cgroup.statistics()).memory.usage.limit).toBe(8 * mebibyte);
    await expect(cgroup.updateResources({ memory: { limit: 1024, checkBeforeUpdate: true } })).rejects.toThrow(
      "rejecting memory limit 1024 <= usage",
    );
    cgroup.kill();
    await hog.exited;
    await watch.ended;
    expect(kills).toBe(1);
  });

  test("a watch that nobody wants any more ends", async () => {
    using cgroup = made();
    const watch = await cgroup.watchOom(() => expect.unreachable());
    watch[Symbol.dispose]();
    await watch.ended;
  });
});

describe.skipIf(!hasV2("cpu"))("processors of version 2", () => {
  test("quota, period, burst, weight and idle", async () => {
    using cgroup = made();
    await cgroup.updateResources({ cpu: { quota: 500000, period: 1000000 } });
    expect(valueOf(cgroup, "cpu.max")).toBe("500000 1000000");
    await cgroup.updateResources({ cpu: { period: 900000 } });
    await cgroup.updateResources({ cpu: { quota: 600000 } });
    expect(valueOf(cgroup, "cpu.max")).toBe("600000 900000");
    await cgroup.updateResources({ cpu: { quota: 5000, period: 10000, burst: 5000 } });
    await cgroup.updateResources({ cpu: { quota: 20000, burst: 20000 } });
    expect(values(cgroup, "cpu.max", "cpu.max.burst")).toEqual(["20000 10000", "20000"]);
    await cgroup.updateResources({ cpu: { quota: -1, burst: 0 } });
    expect(valueOf(cgroup, "cpu.max")).toBe("max 10000");
    await cgroup.updateResources({ cpu: { idle: 1 } });
    await expect(cgroup.updateResources({ cpu: { shares: 512 } })).rejects.toThrow("linux.resources.cpu.shares");
    await cgroup.updateResources({ cpu: { idle: 0, shares: 1024 } });
    expect(values(cgroup, "cpu.idle", "cpu.weight")).toEqual(["0", "100"]);
    await expect(cgroup.updateResources({ cpu: { period: 100 } })).rejects.toThrow("linux.resources.cpu.period");
  });
});

describe.skipIf(!hasV2("io"))("block devices of version 2", () => {
  test("a weight is the scheduler's own, and put back", async () => {
    using cgroup = made();
    const [file, value] = existsSync(fileOf(cgroup, "io.bfq.weight"))
      ? (["io.bfq.weight", "default 750"] as const)
      : (["io.weight", "default 7475"] as const);
    if (!existsSync(fileOf(cgroup, file))) return;
    await expect(cgroup.updateResources({ blockIO: { weight: 750 }, unified: { "io.none": "1" } })).rejects.toThrow();
    expect(valueOf(cgroup, file)).toBe("default 100");
    await cgroup.applyResources({ blockIO: { weight: 750 } });
    expect(valueOf(cgroup, file)).toBe(value);
  });

  test("rates for a device that is not there are refused by their path", async () => {
    using cgroup = made();
    const throttleReadBpsDevice = [{ major: 4095, minor: 1048575, rate: 5 }];
    await expect(cgroup.applyResources({ blockIO: { throttleReadBpsDevice } })).rejects.toMatchObject({
      message: expect.stringContaining("linux.resources.blockIO.throttleReadBpsDevice[0]"),
      hint: expect.stringContaining("device"),
    });
  });
});

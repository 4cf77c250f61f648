import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import type { Cgroup } from "../../src/runtime/cgroup/cgroup.ts";
import { detectCgroups } from "../../src/runtime/cgroup/detect.ts";
import { CgroupError } from "../../src/runtime/cgroup/errors.ts";
import { execCgroupPath } from "../../src/runtime/cgroup/exec-path.ts";
import { openCgroup } from "../../src/runtime/cgroup/open.ts";
import { formatStatistics } from "../../src/runtime/cgroup/statistics/statistics.ts";

/*
 * Limits, statistics and events on the real hierarchies of this host, in a cgroup of these tests' own. What a kernel
 * makes of a value is what these are about, so that each test reads the kernel's own files.
 */

const parent = `/gocker-limits-test-${process.pid}`;
const host = detectCgroups();
const root = process.getuid?.() === 0;
const directories = [...host.v1.map(({ mountPoint }) => mountPoint), ...(host.v2 === undefined ? [] : [host.v2])].map(
  (mountPoint) => mountPoint + parent,
);
const hasV1 = (...controllers: string[]): boolean =>
  root && controllers.every((name) => host.v1.some((hierarchy) => hierarchy.controllers.includes(name)));
const hasV2 = (controller: string): boolean =>
  root &&
  host.v2 !== undefined &&
  readFileSync(`${host.v2}/cgroup.controllers`, "utf8").trim().split(" ").includes(controller);
const has = (controller: string): boolean => hasV1(controller) || hasV2(controller);
if (!root || directories.length === 0) console.warn("skipped: the tests of cgroups need root and a host that has some");

/** What the host hands down: a limit may add to it, and these tests take that back. */
const handedDown =
  root && host.v2 !== undefined ? readFileSync(`${host.v2}/cgroup.subtree_control`, "utf8").trim() : "";

afterAll(() => {
  for (const directory of directories) if (existsSync(directory)) rmdirSync(directory);
  if (!root || host.v2 === undefined) return;
  const file = `${host.v2}/cgroup.subtree_control`;
  for (const controller of readFileSync(file, "utf8").trim().split(" ")) {
    if (controller !== "" && !handedDown.split(" ").includes(controller)) writeFileSync(file, `-${controller}`);
  }
});

let count = 0;

/** A new cgroup, which is ended and removed at the end of the scope. */
function made(path = `${parent}/${++count}`): Cgroup & Disposable {
  const cgroup = openCgroup(path);
  cgroup.create();
  const dispose = cgroup[Symbol.dispose].bind(cgroup);
  cgroup[Symbol.dispose] = () => {
    cgroup.kill();
    cgroup.remove();
    dispose();
  };
  return cgroup;
}

/** A control file's path: by its controller's hierarchy. */
function fileOf(cgroup: Cgroup, file: string): string {
  const controller = file.slice(0, file.indexOf("."));
  return `${cgroup.place(controller)?.mountPoint ?? ""}${cgroup.path}/${file}`;
}

function valueOf(cgroup: Cgroup, file: string): string {
  return readFileSync(fileOf(cgroup, file), "utf8").trim();
}

function values(cgroup: Cgroup, ...files: string[]): string[] {
  return files.map((file) => valueOf(cgroup, file));
}

/** Starts a shell and moves it into the cgroup in the hierarchies of some controllers, before the script runs. */
function startIn(cgroup: Cgroup, controllers: string[], script: string): Bun.Subprocess {
  const joins = controllers.map(
    (name) => `echo $$ >${cgroup.place(name)?.mountPoint ?? ""}${cgroup.path}/cgroup.procs`,
  );
  return Bun.spawn(["sh", "-c", [...joins, script].join("\n")], { stdio: ["ignore", "ignore", "ignore"] });
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within five seconds: ${condition.toString()}`);
    await Bun.sleep(2);
  }
}

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

test.skipIf(!has("cpuset"))("processors and memory nodes", async () => {
  using cgroup = made();
  await cgroup.applyResources({ cpu: { cpus: "0", mems: "0" } });
  expect(values(cgroup, "cpuset.cpus", "cpuset.mems")).toEqual(["0", "0"]);
  await expect(cgroup.updateResources({ cpu: { cpus: "4000-4001" } })).rejects.toThrow("linux.resources.cpu.cpus");
  expect(valueOf(cgroup, "cpuset.cpus")).toBe("0");
});

describe.skipIf(!has("pids"))("processes", () => {
  test("a limit changes while the processes stand still, which they go on to do", async () => {
    using cgroup = made();
    const child = startIn(
      cgroup,
      ["pids", "freezer", "cgroup"].filter((name) => cgroup.place(name)),
      "exec sleep 20",
    );
    await until(() => cgroup.processes().length === 1);
    expect(cgroup.isFrozen()).toBeFalse();
    cgroup.freeze();
    expect(cgroup.isFrozen()).toBeTrue();
    await cgroup.updateResources({ pids: { limit: 30 } });
    expect(valueOf(cgroup, "pids.max")).toBe("30");
    expect(cgroup.isFrozen()).toBeTrue();
    cgroup.thaw();
    expect(cgroup.isFrozen()).toBeFalse();
    expect((await cgroup.statistics()).pids).toEqual({ current: 1, limit: 30 });
    cgroup.kill();
    await child.exited;
  });

  test("none is one, -1 is no limit", async () => {
    using cgroup = made();
    await cgroup.updateResources({ pids: { limit: 0 } });
    expect(valueOf(cgroup, "pids.max")).toBe("1");
    await cgroup.updateResources({ pids: { limit: -1 } });
    expect(valueOf(cgroup, "pids.max")).toBe("max");
    expect((await cgroup.statistics()).pids).toEqual({ current: 0, limit: 0 });
  });
});

describe.skipIf(!root || directories.length === 0)("any host", () => {
  test("rules for devices alone are no limits, and stay when limits change", async () => {
    using cgroup = made();
    cgroup.restrictDevices([{ allow: false }, { allow: true, type: "c", major: 1, minor: 3, access: "rwm" }]);
    expect(await cgroup.applyResources({ devices: [{ allow: true }] })).toEqual([]);
    const notes = await cgroup.updateResources({ devices: [{ allow: true }] });
    expect(notes).toEqual([expect.stringContaining("linux.resources.devices has no effect")]);
    if (hasV1("devices")) expect(valueOf(cgroup, "devices.list")).toBe("c 1:3 rwm");
  });

  test("what has no effect is told", async () => {
    using cgroup = made();
    const notes = await cgroup.applyResources({ memory: { kernel: mebibyte } });
    expect(notes).toEqual([expect.stringContaining("linux.resources.memory.kernel has no effect")]);
  });

  test.skipIf(!hasV1("memory"))("a file of version 2 is refused where its controller is one of version 1", async () => {
    using cgroup = made();
    await expect(cgroup.applyResources({ unified: { "memory.min": "131072" } })).rejects.toThrow(
      "invalid configuration: linux.resources.unified",
    );
  });

  test("statistics of a process that has worked", async () => {
    using cgroup = made();
    const controllers = ["cpu", "cpuacct", "memory", "pids", "cgroup"].filter((name) => cgroup.place(name));
    const child = startIn(cgroup, controllers, "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; kill -STOP $$");
    await until(() => /^State:\tT/m.test(readFileSync(`/proc/${child.pid}/status`, "utf8")));
    const statistics = await cgroup.statistics();
    expect(Number(statistics.cpu.usage.total)).toBeGreaterThan(1_000_000);
    expect(statistics.pids.current).toBe(1);
    if (hasV1("cpuacct")) expect(statistics.cpu.usage.percpu?.length).toBe(statistics.cpu.usage.percpu_user?.length);
    if (hasV1("memory")) {
      expect(statistics.memory.usage.limit).toBe(9223372036854771712n);
      expect(Number(statistics.memory.usage.usage)).toBeGreaterThan(0);
      expect(formatStatistics(statistics.memory)).toContain('"limit":9223372036854771712');
    }
    cgroup.kill();
    await child.exited;
  });

  test("a cgroup that somebody else has made is taken with what is in it", async () => {
    using cgroup = made();
    const controllers = ["freezer", "pids", "cgroup"].filter((name) => cgroup.place(name));
    const child = startIn(cgroup, controllers, "exec sleep 20");
    await until(() => cgroup.processes().length === 1);
    const missing = directories.find((directory) => isEmptyIn(directory, cgroup));
    if (missing !== undefined) rmdirSync(missing + cgroup.path.slice(parent.length));
    using second = openCgroup(cgroup.path);
    expect(() => second.create()).toThrow("container's cgroup is not empty");
    second.adopt();
    expect(directories.filter((directory) => !existsSync(directory + cgroup.path.slice(parent.length)))).toEqual([]);
    expect(second.processes()).toEqual([child.pid]);
    second.kill();
    await child.exited;
  });

  test("a signal reaches every process, also of cgroups below, and nobody else", async () => {
    using cgroup = made();
    const controllers = ["freezer", "pids", "cgroup"].filter((name) => cgroup.place(name));
    const children = [1, 2, 3].map(() => startIn(cgroup, controllers, "exec sleep 20"));
    const stranger = Bun.spawn(["sleep", "20"]);
    try {
      await until(() => cgroup.processes().length === children.length);
      cgroup.signal(15);
      await Promise.all(children.map(({ exited }) => exited));
      expect(children.map(({ signalCode }) => signalCode)).toEqual(["SIGTERM", "SIGTERM", "SIGTERM"]);
      expect(stranger.signalCode).toBeNull();
    } finally {
      stranger.kill(9);
    }
  });

  test.skipIf(host.v2 === undefined)(
    "what enters a cgroup of version 2 that hands controllers down goes to where its first process is",
    async () => {
      if (host.v2 === undefined || !hasV2("hugetlb")) return;
      const v2 = { v1: [], v2: host.v2 };
      using cgroup = openCgroup(`${parent}/exec`, v2);
      using inner = openCgroup(`${parent}/exec/init`, v2);
      const child = Bun.spawn(["sleep", "20"]);
      try {
        cgroup.create();
        expect(execCgroupPath(cgroup, child.pid)).toBe(cgroup.path);
        inner.create();
        writeFileSync(`${host.v2}${inner.path}/cgroup.procs`, String(child.pid));
        expect(execCgroupPath(cgroup, child.pid)).toBe(cgroup.path);
        await inner.applyResources({ unified: { "hugetlb.2MB.max": "0" } });
        expect(execCgroupPath(cgroup, child.pid)).toBe(inner.path);
      } finally {
        child.kill(9);
        await child.exited;
        cgroup.remove();
      }
    },
  );

  test("a cgroup that stands still before there is anything in it is not taken", () => {
    using cgroup = made();
    const file = [fileOf(cgroup, "freezer.state"), fileOf(cgroup, "cgroup.freeze")].find((path) => existsSync(path));
    if (file === undefined) throw new Error("this host has no freezer");
    writeFileSync(file, file.endsWith("state") ? "FROZEN" : "1");
    const second = openCgroup(cgroup.path);
    expect(() => second.create()).toThrow("container's cgroup unexpectedly frozen");
    expect(cgroup.exists()).toBeTrue();
    cgroup.remove();
    expect(cgroup.exists()).toBeFalse();
    expect(cgroup.isFrozen()).toBeFalse();
  });
});

function isEmptyIn(directory: string, cgroup: Cgroup): boolean {
  return readFileSync(`${directory}${cgroup.path.slice(parent.length)}/cgroup.procs`, "utf8") === "";
}

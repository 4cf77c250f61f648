import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import type { Cgroup } from "../../src/runtime/cgroup/cgroup.ts";
import { execCgroupPath } from "../../src/runtime/cgroup/exec-path.ts";
import { openCgroup } from "../../src/runtime/cgroup/open.ts";
import { stringifyExact } from "../../src/util/exact-json.ts";
import {
  cleanUpCgroups,
  directories,
  fileOf,
  has,
  hasV1,
  hasV2,
  host,
  made,
  parent,
  root,
  startIn,
  valueOf,
  values,
} from "../helpers/cgroups.ts";
import { until } from "../helpers/until.ts";

/*
 * What a kernel makes of a value is what these are about, so that each test reads the kernel's own files.
 */

afterAll(cleanUpCgroups);
if (!root || directories.length === 0) console.warn("skipped: the tests of cgroups need root and a host that has some");

const mebibyte = 1024 * 1024;

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
    await until("the processes run", () => cgroup.processes().length === 1);
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
    await until("the process has worked", () => /^State:\tT/m.test(readFileSync(`/proc/${child.pid}/status`, "utf8")));
    const statistics = await cgroup.statistics();
    expect(Number(statistics.cpu.usage.total)).toBeGreaterThan(1_000_000);
    expect(statistics.pids.current).toBe(1);
    if (hasV1("cpuacct")) expect(statistics.cpu.usage.percpu?.length).toBe(statistics.cpu.usage.percpu_user?.length);
    if (hasV1("memory")) {
      expect(statistics.memory.usage.limit).toBe(9223372036854771712n);
      expect(Number(statistics.memory.usage.usage)).toBeGreaterThan(0);
      expect(stringifyExact(statistics.memory)).toContain('"limit":9223372036854771712');
    }
    cgroup.kill();
    await child.exited;
  });

  test("a cgroup that somebody else has made is taken with what is in it", async () => {
    using cgroup = made();
    const controllers = ["freezer", "pids", "cgroup"].filter((name) => cgroup.place(name));
    const child = startIn(cgroup, controllers, "exec sleep 20");
    await until("the processes run", () => cgroup.processes().length === 1);
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
      await until("the processes run", () => cgroup.processes().length === children.length);
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

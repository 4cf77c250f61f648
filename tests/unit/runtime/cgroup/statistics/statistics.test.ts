import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cgroup } from "../../../../../src/runtime/cgroup/cgroup.ts";
import { openCgroup } from "../../../../../src/runtime/cgroup/open.ts";

/** Directories with the files of a cgroup's hierarchies, which are plain files here. */
class FakeFiles implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), "gocker-statistics-"));

  /** @returns the mount point */
  add(hierarchy: string, files: Record<string, string>): string {
    const mountPoint = join(this.root, hierarchy);
    mkdirSync(`${mountPoint}/c`, { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(`${mountPoint}/c/${name}`, `${text}\n`);
    return mountPoint;
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true });
  }
}

test("version 2, in the form of version 1", async () => {
  using files = new FakeFiles();
  const v2 = files.add("unified", {
    "cgroup.procs": "",
    "cpu.stat": "usage_usec 2500\nuser_usec 1500\nsystem_usec 1000\nnr_periods 9\nnr_throttled 4\nthrottled_usec 77",
    "cpu.pressure": "some avg10=2.00 avg60=1.00 avg300=0.50 total=10\nfull avg10=0.10 avg60=0.00 avg300=0.00 total=5",
    "cpuset.cpus.effective": "0-1",
    "cpuset.mems.effective": "0",
    "memory.stat": "anon 100\nfile 4096",
    "memory.current": "8192",
    "memory.max": "max",
    "memory.peak": "16384",
    "memory.swap.current": "1000",
    "memory.swap.max": "2000",
    "memory.swap.peak": "1500",
    "pids.current": "3",
    "pids.max": "max",
    "io.stat": "8:0 rbytes=5 wbytes=6 rios=7 wios=8",
    "hugetlb.2MB.current": "2097152",
    "hugetlb.2MB.events": "max 3",
  });
  using cgroup: Cgroup = openCgroup("/c", { v1: [], v2 });
  const { hugetlb, ...statistics } = await cgroup.statistics();
  expect(statistics).toEqual({
    cpu: {
      usage: { total: 2_500_000, kernel: 1_000_000, user: 1_500_000 },
      throttling: { periods: 9, throttledPeriods: 4, throttledTime: 77000 },
      psi: {
        some: { avg10: 2, avg60: 1, avg300: 0.5, total: 10 },
        full: { avg10: 0.1, avg60: 0, avg300: 0, total: 5 },
      },
    },
    cpuset: expect.objectContaining({ cpus: [0, 1], mems: [0], mem_hardwall: 0 }),
    memory: {
      cache: 4096,
      usage: { limit: 18446744073709551615n, usage: 8192, max: 16384, failcnt: 0 },
      swap: { limit: 18446744073709551615n, usage: 9192, max: 0, failcnt: 0 },
      kernel: { limit: 0, usage: 0, max: 0, failcnt: 0 },
      kernelTCP: { limit: 0, usage: 0, max: 0, failcnt: 0 },
      raw: { anon: 100, file: 4096 },
      psi: undefined,
    },
    pids: { current: 3, limit: 0 },
    blkio: {
      ioServiceBytesRecursive: [
        { major: 8, minor: 0, op: "Read", value: 5 },
        { major: 8, minor: 0, op: "Write", value: 6 },
      ],
      ioServicedRecursive: [
        { major: 8, minor: 0, op: "Read", value: 7 },
        { major: 8, minor: 0, op: "Write", value: 8 },
      ],
      psi: undefined,
    },
  });
  // Which sizes there are is the kernel's to say.
  if ("2MB" in hugetlb) expect(hugetlb["2MB"]).toEqual({ usage: 2097152, max: 0, failcnt: 3 });
});

test("a cgroup of version 2 without controllers counts its processes, and has the time of its processors", async () => {
  using files = new FakeFiles();
  const v2 = files.add("unified", { "cgroup.procs": "12\n13", "cpu.stat": "usage_usec 1\nuser_usec 1\nsystem_usec 0" });
  using cgroup = openCgroup("/c", { v1: [], v2 });
  const { cpu, memory, pids } = await cgroup.statistics();
  expect(cpu.usage.total).toBe(1000);
  expect(pids).toEqual({ current: 2, limit: 0 });
  expect(memory.usage).toEqual({ limit: 0, usage: 0, max: 0, failcnt: 0 });
});

test("version 1", async () => {
  using files = new FakeFiles();
  const hierarchy = (directory: string, controllers: string[], content: Record<string, string>) => ({
    controllers,
    directory,
    mountPoint: files.add(directory, content),
  });
  const v1 = [
    hierarchy("cpu,cpuacct", ["cpu", "cpuacct"], {
      "cpu.stat": "nr_periods 9\nnr_throttled 4\nthrottled_time 77",
      "cpuacct.stat": "user 3\nsystem 2",
      "cpuacct.usage": "50000001",
      "cpuacct.usage_percpu": "20000000 30000001 ",
      "cpuacct.usage_all": "cpu user system\n0 15 5\n1 20 10",
    }),
    hierarchy("memory", ["memory"], {
      "memory.stat": "cache 4096\nrss 8192",
      "memory.limit_in_bytes": "9223372036854771712",
      "memory.usage_in_bytes": "12288",
      "memory.max_usage_in_bytes": "20480",
      "memory.failcnt": "2",
      "memory.kmem.usage_in_bytes": "5",
    }),
    hierarchy("pids", ["pids"], { "pids.current": "2", "pids.max": "20" }),
    hierarchy("blkio", ["blkio"], {
      "blkio.bfq.io_serviced_recursive": "Total 0",
      "blkio.throttle.io_serviced_recursive": "8:0 Read 3\nTotal 3",
    }),
    hierarchy("cpuset", ["cpuset"], {
      "cpuset.cpus": "0",
      "cpuset.mems": "0",
      "cpuset.sched_load_balance": "1",
      "cpuset.sched_relax_domain_level": "-1",
    }),
  ];
  using cgroup = openCgroup("/c", { v1, v2: undefined });
  expect(await cgroup.statistics()).toEqual({
    cpu: {
      usage: {
        total: 50000001,
        percpu: [20000000, 30000001],
        percpu_kernel: [5, 10],
        percpu_user: [15, 20],
        kernel: 20_000_000,
        user: 30_000_000,
      },
      throttling: { periods: 9, throttledPeriods: 4, throttledTime: 77 },
    },
    cpuset: {
      cpus: [0],
      cpu_exclusive: 0,
      mems: [0],
      mem_hardwall: 0,
      mem_exclusive: 0,
      memory_migrate: 0,
      memory_spread_page: 0,
      memory_spread_slab: 0,
      memory_pressure: 0,
      sched_load_balance: 1,
      sched_relax_domain_level: -1,
    },
    memory: {
      cache: 4096,
      usage: { limit: 9223372036854771712n, usage: 12288, max: 20480, failcnt: 2 },
      swap: { limit: 0, usage: 0, max: 0, failcnt: 0 },
      kernel: { limit: 0, usage: 5, max: 0, failcnt: 0 },
      kernelTCP: { limit: 0, usage: 0, max: 0, failcnt: 0 },
      raw: { cache: 4096, rss: 8192 },
    },
    pids: { current: 2, limit: 20 },
    blkio: { ioServicedRecursive: [{ major: 8, minor: 0, op: "Read", value: 3 }] },
    hugetlb: {},
  });
});

import { readdirSync } from "node:fs";
import type { Cgroup } from "../cgroup.ts";
import { exists } from "../files.ts";
import { readCount, readIfPresent } from "./parse.ts";
import type { CgroupStatistics, MemoryStatistics, PidsStatistics } from "./types.ts";
import {
  blockIoStatisticsV1,
  cpusetStatisticsV1,
  cpuStatisticsV1,
  hugePageStatisticsV1,
  memoryStatisticsV1,
} from "./v1.ts";
import {
  blockIoStatisticsV2,
  cpusetStatisticsV2,
  cpuStatisticsV2,
  hugePageStatisticsV2,
  memoryStatisticsV2,
  noCpuset,
} from "./v2.ts";

/** See {@link Cgroup.statistics}. */
export function readStatistics(cgroup: Cgroup): CgroupStatistics {
  /** Controllers of version 2 are only where they are enabled; files that are not there are 0. */
  const v1 = (controller: string): string | undefined => {
    const place = cgroup.place(controller);
    return place?.version === 1 ? place.mountPoint + cgroup.path : undefined;
  };
  const unified = cgroup.place("cgroup");
  const v2 = unified === undefined ? undefined : unified.mountPoint + cgroup.path;
  const [cpu, cpuacct, cpuset, memory, pids, blkio, hugetlb] = [
    v1("cpu"),
    v1("cpuacct"),
    v1("cpuset"),
    v1("memory"),
    v1("pids"),
    v1("blkio"),
    v1("hugetlb"),
  ];
  const sizes = hugePageSizes();
  return {
    cpu:
      cpu !== undefined || cpuacct !== undefined || v2 === undefined
        ? cpuStatisticsV1(cpu, cpuacct)
        : cpuStatisticsV2(v2),
    cpuset:
      cpuset !== undefined ? cpusetStatisticsV1(cpuset) : v2 === undefined ? { ...noCpuset } : cpusetStatisticsV2(v2),
    memory: memory !== undefined ? memoryStatisticsV1(memory) : v2 === undefined ? noMemory() : memoryStatisticsV2(v2),
    pids: pidsStatistics(cgroup, pids ?? v2),
    blkio: blkio !== undefined ? blockIoStatisticsV1(blkio) : v2 === undefined ? {} : blockIoStatisticsV2(v2),
    hugetlb:
      hugetlb !== undefined
        ? hugePageStatisticsV1(hugetlb, sizes)
        : v2 === undefined
          ? {}
          : hugePageStatisticsV2(v2, sizes),
  };
}

function noMemory(): MemoryStatistics {
  const none = { limit: 0, usage: 0, max: 0, failcnt: 0 };
  return { cache: 0, usage: none, swap: none, kernel: none, kernelTCP: none, raw: {} };
}

/** Where the controller is not enabled, the processes are counted. */
function pidsStatistics(cgroup: Cgroup, directory: string | undefined): PidsStatistics {
  if (directory === undefined || !exists(`${directory}/pids.current`)) {
    return { current: cgroup.processes().length, limit: 0 };
  }
  const limit = readIfPresent(`${directory}/pids.max`);
  return { current: readCount(`${directory}/pids.current`), limit: limit === "max" ? 0 : Number(limit) };
}

/** The sizes of huge pages that this kernel has, as cgroup files have them: `2MB`, `1GB`. */
export function hugePageSizes(): string[] {
  let names: string[];
  try {
    names = readdirSync("/sys/kernel/mm/hugepages");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return names.flatMap((name) => {
    const kilobytes = /^hugepages-(\d+)kB$/.exec(name)?.[1];
    return kilobytes === undefined ? [] : [hugePageName(Number(kilobytes))];
  });
}

/** A size as the kernel names it: the largest unit that divides it evenly. */
export function hugePageName(kilobytes: number): string {
  if (kilobytes % 1048576 === 0) return `${kilobytes / 1048576}GB`;
  return kilobytes % 1024 === 0 ? `${kilobytes / 1024}MB` : `${kilobytes}KB`;
}

import { exists } from "../files.ts";
import {
  parseCount,
  parseIoStat,
  parseKeyed,
  parseNumberList,
  readCount,
  readIfPresent,
  readPressure,
} from "./parse.ts";
import type {
  BlockIoStatistics,
  Count,
  CpuStatistics,
  CpusetStatistics,
  HugePageStatistics,
  MemoryEntry,
  MemoryStatistics,
} from "./types.ts";

/*
 * Controllers of version 2, in the form of version 1, as runc tells them. Each function takes the cgroup's directory.
 */

/** cpu.stat is there without the controller too, apart from the throttling. */
export function cpuStatisticsV2(directory: string): CpuStatistics {
  const stat = parseKeyed(readIfPresent(`${directory}/cpu.stat`));
  const nanoseconds = (key: string): Count => times1000(stat[key] ?? 0);
  return {
    usage: { total: nanoseconds("usage_usec"), kernel: nanoseconds("system_usec"), user: nanoseconds("user_usec") },
    throttling: {
      periods: stat["nr_periods"] ?? 0,
      throttledPeriods: stat["nr_throttled"] ?? 0,
      throttledTime: nanoseconds("throttled_usec"),
    },
    psi: readPressure(`${directory}/cpu.pressure`),
  };
}

export function cpusetStatisticsV2(directory: string): CpusetStatistics {
  return {
    ...noCpuset,
    cpus: parseNumberList(readIfPresent(`${directory}/cpuset.cpus.effective`)),
    mems: parseNumberList(readIfPresent(`${directory}/cpuset.mems.effective`)),
  };
}

/** For hosts without that controller. */
export const noCpuset: CpusetStatistics = {
  cpu_exclusive: 0,
  mem_hardwall: 0,
  mem_exclusive: 0,
  memory_migrate: 0,
  memory_spread_page: 0,
  memory_spread_slab: 0,
  memory_pressure: 0,
  sched_load_balance: 0,
  sched_relax_domain_level: 0,
};

const none: MemoryEntry = { limit: 0, usage: 0, max: 0, failcnt: 0 };

export function memoryStatisticsV2(directory: string): MemoryStatistics {
  const entry = (kind: string): MemoryEntry => {
    const prefix = `${directory}/memory.${kind}`;
    if (!exists(`${prefix}current`)) return { ...none };
    return {
      limit: readCount(`${prefix}max`),
      usage: readCount(`${prefix}current`),
      max: readCount(`${prefix}peak`),
      failcnt: 0,
    };
  };
  const raw = parseKeyed(readIfPresent(`${directory}/memory.stat`));
  const usage = entry("");
  const swap = entry("swap.");
  return {
    cache: raw["file"] ?? 0,
    usage,
    // Together, as in version 1. What the most of both together was is not known.
    swap: { limit: sumOfLimits(swap.limit, usage.limit), usage: sum(swap.usage, usage.usage), max: 0, failcnt: 0 },
    kernel: { ...none },
    kernelTCP: { ...none },
    raw,
    psi: readPressure(`${directory}/memory.pressure`),
  };
}

export function blockIoStatisticsV2(directory: string): BlockIoStatistics {
  const { bytes, operations } = parseIoStat(readIfPresent(`${directory}/io.stat`));
  return {
    ...(bytes.length > 0 && { ioServiceBytesRecursive: bytes }),
    ...(operations.length > 0 && { ioServicedRecursive: operations }),
    psi: readPressure(`${directory}/io.pressure`),
  };
}

/** @param sizes such as `2MB` */
export function hugePageStatisticsV2(directory: string, sizes: readonly string[]): Record<string, HugePageStatistics> {
  const statistics: Record<string, HugePageStatistics> = {};
  for (const size of sizes) {
    const prefix = `${directory}/hugetlb.${size}`;
    const current = exists(`${prefix}.rsvd.current`) ? `${prefix}.rsvd.current` : `${prefix}.current`;
    if (!exists(current)) continue;
    const events = parseKeyed(readIfPresent(`${prefix}.events`));
    statistics[size] = { usage: readCount(current), max: 0, failcnt: events["max"] ?? 0 };
  }
  return statistics;
}

function times1000(count: Count): Count {
  return parseCount(String(BigInt(count) * 1000n));
}

function sum(a: Count, b: Count): Count {
  return parseCount(String(BigInt(a) + BigInt(b)));
}

/** Nothing is more than the largest number, which is no limit. */
function sumOfLimits(a: Count, b: Count): Count {
  const most = 0xffff_ffff_ffff_ffffn;
  const both = BigInt(a) + BigInt(b);
  return both > most ? most : parseCount(String(both));
}

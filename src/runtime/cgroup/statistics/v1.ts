import { exists } from "../files.ts";
import { parseBlockIo, parseCount, parseKeyed, parseNumberList, readCount, readIfPresent } from "./parse.ts";
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
 * Controllers of version 1. Each function takes the cgroup's directory in its hierarchy.
 */

/** Ticks of `cpuacct.stat` in a second: USER_HZ, 100 on all of gocker's architectures. */
const nanosecondsOfTick = 10_000_000;

/** @param cpuacct the directory of that controller, often the same; undefined when it is not mounted */
export function cpuStatisticsV1(cpu: string | undefined, cpuacct: string | undefined): CpuStatistics {
  const usage: CpuStatistics["usage"] = { total: 0, kernel: 0, user: 0 };
  if (cpuacct !== undefined) {
    const ticks = parseKeyed(readIfPresent(`${cpuacct}/cpuacct.stat`));
    usage.total = readCount(`${cpuacct}/cpuacct.usage`);
    usage.percpu = words(readIfPresent(`${cpuacct}/cpuacct.usage_percpu`)).map(parseCount);
    // A line for each CPU after the heading: its number, user, system.
    const lines = readIfPresent(`${cpuacct}/cpuacct.usage_all`).split("\n").slice(1).map(words);
    usage.percpu_kernel = lines.map((line) => parseCount(line[2] ?? "0"));
    usage.percpu_user = lines.map((line) => parseCount(line[1] ?? "0"));
    usage.kernel = Number(ticks["system"] ?? 0) * nanosecondsOfTick;
    usage.user = Number(ticks["user"] ?? 0) * nanosecondsOfTick;
  }
  const stat = cpu === undefined ? {} : parseKeyed(readIfPresent(`${cpu}/cpu.stat`));
  return {
    usage,
    throttling: {
      periods: stat["nr_periods"] ?? 0,
      throttledPeriods: stat["nr_throttled"] ?? 0,
      throttledTime: stat["throttled_time"] ?? 0,
    },
  };
}

export function cpusetStatisticsV1(directory: string): CpusetStatistics {
  const count = (name: string): Count => readCount(`${directory}/cpuset.${name}`);
  return {
    cpus: parseNumberList(readIfPresent(`${directory}/cpuset.cpus`)),
    cpu_exclusive: count("cpu_exclusive"),
    mems: parseNumberList(readIfPresent(`${directory}/cpuset.mems`)),
    mem_hardwall: count("mem_hardwall"),
    mem_exclusive: count("mem_exclusive"),
    memory_migrate: count("memory_migrate"),
    memory_spread_page: count("memory_spread_page"),
    memory_spread_slab: count("memory_spread_slab"),
    memory_pressure: count("memory_pressure"),
    sched_load_balance: count("sched_load_balance"),
    // The only one that may be negative: -1 is the host's own level.
    sched_relax_domain_level: Number(readIfPresent(`${directory}/cpuset.sched_relax_domain_level`)),
  };
}

export function memoryStatisticsV1(directory: string): MemoryStatistics {
  const entry = (kind: string): MemoryEntry => ({
    limit: readCount(`${directory}/memory.${kind}limit_in_bytes`),
    usage: readCount(`${directory}/memory.${kind}usage_in_bytes`),
    max: readCount(`${directory}/memory.${kind}max_usage_in_bytes`),
    failcnt: readCount(`${directory}/memory.${kind}failcnt`),
  });
  const raw = parseKeyed(readIfPresent(`${directory}/memory.stat`));
  return {
    cache: raw["cache"] ?? 0,
    usage: entry(""),
    swap: entry("memsw."),
    kernel: entry("kmem."),
    kernelTCP: entry("kmem.tcp."),
    raw,
  };
}

/** What the statistics are called by the schedulers that keep them; the first group that is there tells all. */
const blockIoFiles = {
  ioServiceBytesRecursive: "io_service_bytes_recursive",
  ioServicedRecursive: "io_serviced_recursive",
  ioQueueRecursive: "io_queued_recursive",
  ioServiceTimeRecursive: "io_service_time_recursive",
  ioWaitTimeRecursive: "io_wait_time_recursive",
  ioMergedRecursive: "io_merged_recursive",
  ioTimeRecursive: "time_recursive",
  sectorsRecursive: "sectors_recursive",
} as const;

/** BFQ's counts, those of old kernels' CFQ, and what every device has where its scheduler counts nothing. */
export function blockIoStatisticsV1(directory: string): BlockIoStatistics {
  for (const prefix of ["blkio.bfq.", "blkio.", "blkio.throttle."]) {
    const statistics: BlockIoStatistics = {};
    for (const [name, file] of Object.entries(blockIoFiles)) {
      const entries = parseBlockIo(readIfPresent(`${directory}/${prefix}${file}`));
      if (entries.length > 0) statistics[name as keyof typeof blockIoFiles] = entries;
    }
    if (Object.keys(statistics).length > 0) return statistics;
  }
  return {};
}

/** @param sizes such as `2MB` */
export function hugePageStatisticsV1(directory: string, sizes: readonly string[]): Record<string, HugePageStatistics> {
  const statistics: Record<string, HugePageStatistics> = {};
  for (const size of sizes) {
    const reserved = `${directory}/hugetlb.${size}.rsvd`;
    const prefix = exists(`${reserved}.usage_in_bytes`) ? reserved : `${directory}/hugetlb.${size}`;
    statistics[size] = {
      usage: readCount(`${prefix}.usage_in_bytes`),
      max: readCount(`${prefix}.max_usage_in_bytes`),
      failcnt: readCount(`${prefix}.failcnt`),
    };
  }
  return statistics;
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

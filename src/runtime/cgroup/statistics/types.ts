/** A count of the kernel's: a bigint where a number cannot hold it exactly, such as version 1's "no limit". */
export type Count = number | bigint;

/**
 * What a cgroup uses, in the form of `data` in `runc events --stats` (types/events.go). Counts of controllers that the
 * host does not have are 0. `stringifyExact` makes JSON of it.
 */
export interface CgroupStatistics {
  readonly cpu: CpuStatistics;
  readonly cpuset: CpusetStatistics;
  readonly memory: MemoryStatistics;
  readonly pids: PidsStatistics;
  readonly blkio: BlockIoStatistics;
  /** By size, such as `2MB`. */
  readonly hugetlb: Readonly<Record<string, HugePageStatistics>>;
}

/** Times in nanoseconds. */
export interface CpuStatistics {
  usage: {
    total: Count;
    /** By CPU; version 1 only. */
    percpu?: Count[];
    percpu_kernel?: Count[];
    percpu_user?: Count[];
    kernel: Count;
    user: Count;
  };
  throttling: { periods: Count; throttledPeriods: Count; throttledTime: Count };
  psi?: Pressure | undefined;
}

/** Version 1 only: version 2 has `cpus` and `mems`, 0 stands for the rest. */
export interface CpusetStatistics {
  cpus?: number[];
  cpu_exclusive: Count;
  mems?: number[];
  mem_hardwall: Count;
  mem_exclusive: Count;
  memory_migrate: Count;
  memory_spread_page: Count;
  memory_spread_slab: Count;
  memory_pressure: Count;
  sched_load_balance: Count;
  sched_relax_domain_level: Count;
}

/** In bytes; `limit` is the largest number of the version where there is none. */
export interface MemoryEntry {
  limit: Count;
  usage: Count;
  /** The most that it ever was. */
  max: Count;
  failcnt: Count;
}

export interface MemoryStatistics {
  /** Of files. */
  cache: Count;
  usage: MemoryEntry;
  /** Memory and swap together, in both versions. */
  swap: MemoryEntry;
  kernel: MemoryEntry;
  kernelTCP: MemoryEntry;
  /** `memory.stat` */
  raw: Record<string, Count>;
  psi?: Pressure | undefined;
}

/** `limit` is 0 where there is none. */
export interface PidsStatistics {
  current: Count;
  limit: Count;
}

export interface BlockIoEntry {
  major: number;
  minor: number;
  /** `Read`, `Write`, `Sync`, `Async`, `Discard`, `Total`; empty where they are not told apart. */
  op: string;
  value: Count;
}

export interface BlockIoStatistics {
  ioServiceBytesRecursive?: BlockIoEntry[];
  ioServicedRecursive?: BlockIoEntry[];
  ioQueueRecursive?: BlockIoEntry[];
  ioServiceTimeRecursive?: BlockIoEntry[];
  ioWaitTimeRecursive?: BlockIoEntry[];
  ioMergedRecursive?: BlockIoEntry[];
  ioTimeRecursive?: BlockIoEntry[];
  sectorsRecursive?: BlockIoEntry[];
  psi?: Pressure | undefined;
}

export interface HugePageStatistics {
  usage: Count;
  max: Count;
  failcnt: Count;
}

/** How much was waited for a resource: by some of the processes, and by all of them. accounting/psi.rst */
export interface Pressure {
  some: PressureLine;
  full: PressureLine;
}

/** Percent of the last 10, 60 and 300 seconds; microseconds altogether. */
export interface PressureLine {
  avg10: number;
  avg60: number;
  avg300: number;
  total: Count;
}

import { InvalidDocumentError } from "../../../util/errors.ts";
import { throttleFiles } from "./block-io.ts";
import type { CpuLimits, Limits, MemoryLimits } from "./limits.ts";
import { onlyInVersion, type Setting, SettingList } from "./setting.ts";
import { rdmaSettings } from "./v1.ts";

/** What a cgroup has now, as far as new values depend on it: the texts of its files, for {@link v2Settings}. */
export interface Present {
  /** `memory.max`: a limit of memory and swap is given without one of memory. */
  readonly memoryMax?: string | undefined;
  /** `cpu.max`: a period is given without a quota. */
  readonly cpuMax?: string | undefined;
}

/**
 * Limits as writes to files of version 2, in an order that the kernel accepts. `unified` comes last, so that it wins.
 * @param has whether a controller, by its name in version 2, is one of version 2 on this host; those that are not
 *   give no settings
 * @param present what an existing cgroup has; for a new one there is nothing to know
 * @throws InvalidDocumentError swap is limited without memory, or to less than it
 * @throws CgroupError a limit is asked for that only version 1 has
 */
export function v2Settings(
  limits: Limits,
  has: (controller: string) => boolean = () => true,
  present: Present = {},
): Setting[] {
  const list = new SettingList();
  if (has("pids")) list.add("pids.limit", "pids", "pids.max", limits.pids);
  if (has("memory")) memory(list, limits.memory, present);
  if (has("cpu")) cpu(list, limits.cpu, present);
  if (has("cpuset")) {
    list.add("cpu.cpus", "cpuset", "cpuset.cpus", limits.cpu.cpus);
    list.add("cpu.mems", "cpuset", "cpuset.mems", limits.cpu.mems);
  }
  if (has("io")) blockIo(list, limits);
  if (has("hugetlb")) {
    for (const { path, pageSize, limit } of limits.hugePages) {
      const property = path.slice("linux.resources.".length);
      const value = unlimitedAsMax(limit);
      list.add(property, "hugetlb", `hugetlb.${pageSize}.max`, value);
      // What is reserved counts since Linux 5.7.
      list.add(property, "hugetlb", `hugetlb.${pageSize}.rsvd.max`, value, { ifPresent: true });
    }
  }
  if (has("rdma")) rdmaSettings(list, limits);
  network(limits, has);
  unified(list, limits, has);
  return list.settings;
}

/** Shares (2 to 262144, 1024 as a rule) as a weight (1 to 10000, 100 as a rule): all three points of both meet. */
export function weightOfShares(shares: number): number {
  if (shares <= 2) return 1;
  if (shares >= 262144) return 10000;
  const power = Math.log2(shares);
  return Math.ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34));
}

/** A weight of version 1 (10 to 1000) as one of `io.weight` (1 to 10000), as runc and crun turn it. */
export function ioWeight(weight: number): number {
  return 1 + Math.floor(((weight - 10) * 9999) / 990);
}

function memory(list: SettingList, limits: MemoryLimits, { memoryMax }: Present): void {
  if (limits.disableOomKiller) throw onlyInVersion(1, "linux.resources.memory.disableOOMKiller", "memory");
  if (limits.swappiness !== undefined) throw onlyInVersion(1, "linux.resources.memory.swappiness", "memory");
  // Version 2 always counts what is below, too.
  if (limits.useHierarchy === false) throw onlyInVersion(1, "linux.resources.memory.useHierarchy", "memory");
  const swap = swapAlone(limits, memoryMax);
  list.add("memory.swap", "memory", "memory.swap.max", swap, {
    // The kernel may have no swap at all: then there is none, and nothing that limits it.
    ...((swap === 0 || swap === "max") && { ifPresent: true }),
  });
  list.add("memory.limit", "memory", "memory.max", unlimitedAsMax(limits.limit));
  list.add("memory.reservation", "memory", "memory.low", unlimitedAsMax(limits.reservation));
}

/** Version 1 and the specification count memory and swap together, version 2 swap alone. */
function swapAlone({ limit, swap }: MemoryLimits, memoryMax: string | undefined): number | string | undefined {
  // In version 1 there is no limit of both together without one of memory.
  if (swap === undefined) return limit === -1 ? "max" : undefined;
  if (swap === -1) return "max";
  // What is left of it without a limit of memory: the other runtimes have it that way.
  if (limit === -1) return swap;
  const limited = limit ?? (memoryMax === undefined || memoryMax === "max" ? undefined : Number(memoryMax));
  if (limited === undefined) {
    throw new InvalidDocumentError("linux.resources.memory.swap is limited, but memory.limit is not", {
      hint: "swap is the sum of memory and swap: limit the memory too",
    });
  }
  if (swap < limited) {
    throw new InvalidDocumentError(
      `linux.resources.memory.swap (${swap}) is less than memory.limit (${limited}), which it includes`,
    );
  }
  return swap - limited;
}

function cpu(list: SettingList, limits: CpuLimits, { cpuMax }: Present): void {
  if (limits.realtimeRuntime !== undefined) throw onlyInVersion(1, "linux.resources.cpu.realtimeRuntime", "cpu");
  if (limits.realtimePeriod !== undefined) throw onlyInVersion(1, "linux.resources.cpu.realtimePeriod", "cpu");
  list.add("cpu.shares", "cpu", "cpu.weight", limits.shares === undefined ? undefined : weightOfShares(limits.shares), {
    ...(limits.idle !== undefined && { retryAfter: "cpu.idle" }),
  });
  list.add("cpu.idle", "cpu", "cpu.idle", limits.idle);
  const { quota, period } = limits;
  list.add("cpu.burst", "cpu", "cpu.max.burst", limits.burst, {
    ...((quota !== undefined || period !== undefined) && { retryAfter: "cpu.max" }),
    ...(limits.burst === 0 && { ifPresent: true }),
  });
  list.add(quota === undefined ? "cpu.period" : "cpu.quota", "cpu", "cpu.max", bandwidth(quota, period, cpuMax));
}

/** `cpu.max` is "quota period" in microseconds; what stands alone is the quota, and the period stays. */
function bandwidth(
  quota: number | undefined,
  period: number | undefined,
  present: string | undefined,
): string | undefined {
  if (quota === undefined && period === undefined) return undefined;
  const allowed = quota === undefined ? (present?.split(" ")[0] ?? "max") : unlimitedAsMax(quota);
  return period === undefined ? String(allowed) : `${allowed} ${period}`;
}

/**
 * Weights are those of the scheduler BFQ where the kernel has it, which is what version 1 has too, else those of
 * io.cost.
 */
function blockIo(list: SettingList, { blockIo: { weight, leafWeight, devices, throttles } }: Limits): void {
  if (leafWeight !== undefined) throw onlyInVersion(1, "linux.resources.blockIO.leafWeight", "io");
  if (weight !== undefined) {
    list.add("blockIO.weight", "io", "io.bfq.weight", weight, {
      alternative: { file: "io.weight", value: String(ioWeight(weight)) },
      line: { key: "default", absent: "100" },
    });
  }
  for (const { path, device, weight: own, leafWeight: ownLeaf } of devices) {
    if (ownLeaf !== undefined) throw onlyInVersion(1, `${path}.leafWeight`, "io");
    if (own === undefined) continue;
    list.add(path.slice("linux.resources.".length), "io", "io.bfq.weight", `${device} ${own}`, {
      alternative: { file: "io.weight", value: `${device} ${ioWeight(own)}` },
      line: { key: device, absent: "default" },
    });
  }
  for (const { path, device, kind, rate } of throttles) {
    // Version 1 lifts a limit by 0, which version 2 refuses.
    const value = `${device} ${throttleFiles[kind].v2}=${rate === 0 ? "max" : rate}`;
    list.add(path.slice("linux.resources.".length), "io", "io.max", value, {
      line: { key: device, absent: "rbps=max wbps=max riops=max wiops=max" },
    });
  }
}

/** Version 2 has no controllers for it: what it replaces them with is eBPF and iptables of the host. */
function network({ network: { classId, priorities } }: Limits, has: (controller: string) => boolean): void {
  if (classId !== undefined && has("net_cls")) throw onlyInVersion(1, "linux.resources.network.classID", "net_cls");
  if (priorities.length > 0 && has("net_prio")) {
    throw onlyInVersion(1, "linux.resources.network.priorities", "net_prio");
  }
}

/** A value of several lines is as many writes: the files with a line for each device take one at a time. */
function unified(list: SettingList, limits: Limits, has: (controller: string) => boolean): void {
  for (const [file, text] of limits.unified) {
    const controller = file.slice(0, file.indexOf("."));
    const property = `unified["${file}"]`;
    if (!has(controller)) throw onlyInVersion(2, `linux.resources.${property}`, controller);
    const lines = text.split("\n").filter((line) => line !== "");
    for (const line of lines.length === 0 ? ["\n"] : lines) {
      const device = /^\d+:\d+ /.exec(line)?.[0].trim();
      list.add(property, controller, file, line, {
        ...(device !== undefined && { line: { key: device, absent: absentLine(file) } }),
      });
    }
  }
}

function absentLine(file: string): string {
  return file === "io.max" ? "rbps=max wbps=max riops=max wiops=max" : "default";
}

function unlimitedAsMax(limit: number | undefined): number | string | undefined {
  return limit === -1 ? "max" : limit;
}

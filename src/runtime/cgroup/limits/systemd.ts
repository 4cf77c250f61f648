import { parseNumberList } from "../statistics/parse.ts";
import type { UnitProperty } from "../systemd.ts";
import type { Setting } from "./setting.ts";

/** "infinity" of systemd's. */
const infinity = 0xffff_ffff_ffff_ffffn;

/** A property, and the first version of systemd that has it; undefined: those before 239 too. */
export interface SystemdLimit {
  readonly property: UnitProperty;
  readonly since?: number;
}

/** What a limit's file is called in systemd's properties, where it is one number. systemd.resource-control(5) */
const names: Readonly<Record<string, string>> = {
  "pids.max": "TasksMax",
  "memory.max": "MemoryMax",
  "memory.low": "MemoryLow",
  "memory.min": "MemoryMin",
  "memory.high": "MemoryHigh",
  "memory.swap.max": "MemorySwapMax",
  "cpu.weight": "CPUWeight",
  "io.weight": "IOWeight",
  "memory.limit_in_bytes": "MemoryLimit",
  "cpu.shares": "CPUShares",
  "blkio.weight": "BlockIOWeight",
};

/** What a cgroup has of a processor's time, for limits that are given without the other half; in microseconds. */
export interface PresentBandwidth {
  /** -1 for no limit. */
  readonly quota?: number | undefined;
  readonly period?: number | undefined;
}

/**
 * Limits as properties of a unit. systemd writes its own idea of a limit whenever it looks over its units, so it has to
 * know those that it has properties for; what it does not know (`hugetlb.*`, `rdma.max`, devices' rates) it leaves as it
 * is in the files. The files are written besides, to the exact values.
 * @param settings of either version of cgroups; of two of one name the last one counts
 */
export function systemdLimits(settings: readonly Setting[], present: PresentBandwidth = {}): SystemdLimit[] {
  const limits = new Map<string, SystemdLimit>();
  let { quota, period } = present;
  let isBandwidth = false;
  let isPeriod = false;
  for (const setting of settings) {
    const { file, value } = setting;
    if (file === "cpu.max") {
      const [first = "max", second] = value.split(" ");
      quota = first === "max" ? -1 : Number(first);
      if (second !== undefined) period = Number(second);
      isPeriod ||= second !== undefined;
      isBandwidth = true;
    } else if (file === "cpu.cfs_quota_us") [quota, isBandwidth] = [Number(value), true];
    else if (file === "cpu.cfs_period_us") [period, isPeriod, isBandwidth] = [Number(value), true, true];
    else for (const limit of limitOf(setting)) limits.set(limit.property[0], limit);
  }
  const bandwidth = isBandwidth ? bandwidthLimits(quota ?? -1, period, isPeriod) : [];
  return [...limits.values(), ...bandwidth];
}

function limitOf({ file, value, alternative, line }: Setting): SystemdLimit[] {
  // What systemd writes for `IOWeight` is the scheduler BFQ's weight too, in that one's measure.
  if (file === "io.bfq.weight" && line?.key === "default" && alternative !== undefined) {
    return [{ property: unsigned("IOWeight", BigInt(alternative.value)) }];
  }
  const name = names[file];
  if (name !== undefined && /^(max|-1|\d+)$/.test(value)) {
    const isUnlimited = value === "max" || value === "-1";
    return [{ property: unsigned(name, isUnlimited ? infinity : BigInt(value)) }];
  }
  switch (file) {
    case "cpu.idle":
      // A weight of 0 is "idle".
      return value === "1" ? [{ property: unsigned("CPUWeight", 0n), since: 252 }] : [];
    case "cpuset.cpus":
      return mask("AllowedCPUs", value);
    case "cpuset.mems":
      return mask("AllowedMemoryNodes", value);
    default:
      return [];
  }
}

/** Microseconds of each second, in steps of 10 milliseconds upwards, which are systemd's; and the period. */
function bandwidthLimits(quota: number, period: number | undefined, isPeriod: boolean): SystemdLimit[] {
  const step = 10_000;
  const microseconds = (quota * 1_000_000) / (period ?? 100_000);
  const each = quota < 0 ? infinity : BigInt(Math.ceil(microseconds / step) * step);
  const limits: SystemdLimit[] = [{ property: unsigned("CPUQuotaPerSecUSec", each) }];
  if (isPeriod && period !== undefined) {
    limits.push({ property: unsigned("CPUQuotaPeriodUSec", BigInt(period)), since: 242 });
  }
  return limits;
}

function unsigned(name: string, value: bigint): UnitProperty {
  return [name, { signature: "t", value }];
}

/** More than any kernel has: a number beyond is for the kernel to refuse. */
const mostNumbers = 8192;

/** A list such as `0-3,7` as a mask of bits, the first byte for 0 to 7; other forms, of the kernel's own, stay in its file. */
function mask(name: string, list: string): SystemdLimit[] {
  const isPlain = list.split(",").every((part) => /^\d+(-\d+)?$/.test(part));
  if (!isPlain || list.split(/[,-]/).some((number) => Number(number) >= mostNumbers)) return [];
  const value: number[] = [];
  for (const number of parseNumberList(list)) {
    const index = number >> 3;
    while (value.length <= index) value.push(0);
    value[index] = (value[index] as number) | (1 << (number & 7));
  }
  return [{ property: [name, { signature: "ay", value }], since: 244 }];
}

import { parseNumberList } from "../statistics/parse.ts";
import type { UnitProperty } from "../systemd.ts";
import type { Limits } from "./limits.ts";
import type { Setting } from "./setting.ts";
import { v2Settings } from "./v2.ts";

/** "infinity" of systemd's. */
const infinity = 0xffff_ffff_ffff_ffffn;

/** What a limit's file in version 2 is called in systemd's properties, where it is one number. */
const names: Readonly<Record<string, string>> = {
  "pids.max": "TasksMax",
  "memory.max": "MemoryMax",
  "memory.low": "MemoryLow",
  "memory.min": "MemoryMin",
  "memory.high": "MemoryHigh",
  "memory.swap.max": "MemorySwapMax",
  "cpu.weight": "CPUWeight",
};

/**
 * Limits as properties of a unit, on hosts with version 2. systemd writes its own idea of a limit whenever it looks
 * over its units, so it has to know those that it has properties for; what it does not know (`hugetlb.*`, `rdma.max`,
 * devices' rates) it leaves as it is in the files. The files are written besides, to the exact values.
 */
export function systemdProperties(limits: Limits): UnitProperty[] {
  const properties = new Map<string, UnitProperty>();
  for (const setting of v2Settings(limits)) {
    for (const property of propertiesOf(setting)) properties.set(property[0], property);
  }
  return [...properties.values()];
}

function propertiesOf({ file, value }: Setting): UnitProperty[] {
  const name = names[file];
  if (name !== undefined && /^(max|\d+)$/.test(value))
    return [unsigned(name, value === "max" ? infinity : BigInt(value))];
  switch (file) {
    case "cpu.max":
      return bandwidth(value);
    case "cpu.idle":
      // A weight of 0 is "idle", since systemd 252.
      return value === "1" ? [unsigned("CPUWeight", 0n)] : [];
    case "cpuset.cpus":
      return [["AllowedCPUs", { signature: "ay", value: bits(value) }]];
    case "cpuset.mems":
      return [["AllowedMemoryNodes", { signature: "ay", value: bits(value) }]];
    default:
      return [];
  }
}

/** `cpu.max` as microseconds of a second, in steps of 10 milliseconds upwards, which are systemd's. */
function bandwidth(value: string): UnitProperty[] {
  const [quota = "max", period] = value.split(" ");
  const microseconds = (Number(quota) * 1_000_000) / Number(period ?? 100_000);
  const step = 10_000;
  const each = quota === "max" ? infinity : BigInt(Math.ceil(microseconds / step) * step);
  const properties: UnitProperty[] = [unsigned("CPUQuotaPerSecUSec", each)];
  if (period !== undefined) properties.push(unsigned("CPUQuotaPeriodUSec", BigInt(period)));
  return properties;
}

function unsigned(name: string, value: bigint): UnitProperty {
  return [name, { signature: "t", value }];
}

/** A list such as `0-3,7` as a mask of bits, the first byte for 0 to 7. */
function bits(list: string): number[] {
  const bytes: number[] = [];
  for (const number of parseNumberList(list)) {
    const index = number >> 3;
    while (bytes.length <= index) bytes.push(0);
    bytes[index] = (bytes[index] as number) | (1 << (number & 7));
  }
  return bytes;
}

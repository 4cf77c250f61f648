import { InvalidDocumentError } from "../../util/errors.ts";
import { CgroupError } from "./errors.ts";
import { writeControl } from "./files.ts";
import type { Limits } from "./limits.ts";

/** One limit: what is written to which file. */
export interface Setting {
  /** The controller that the file belongs to; `cgroup` for the hierarchy's own files. */
  readonly controller: string;
  readonly file: string;
  readonly value: string;
}

/**
 * Writes settings.
 * @param directory the cgroup's directory in the hierarchy of a controller
 * @throws CgroupError `directory` has none for a controller
 */
export function applySettings(
  settings: readonly Setting[],
  directory: (controller: string) => string | undefined,
): void {
  for (const { controller, file, value } of settings) {
    const place = directory(controller);
    if (place === undefined) {
      throw new CgroupError("CGROUPS_UNABLE", `this limit needs the ${controller} controller, which is not mounted`, {
        hint: "mount it, or run the container without that limit",
      });
    }
    writeControl(`${place}/${file}`, value);
  }
}

/**
 * The limits of a new cgroup as writes to files of version 1, in an order that the kernel accepts. Those that only
 * version 2 has are left out, see {@link refuseV2Only}.
 */
export function v1Settings(limits: Limits): Setting[] {
  const settings: Setting[] = [];
  const set = adder(settings);
  set("pids", "pids.max", limits.pids);
  // The limit before that of memory and swap together, which must never be less.
  set("memory", "memory.limit_in_bytes", limits.memory);
  set("memory", "memory.memsw.limit_in_bytes", limits.memoryAndSwap);
  set("memory", "memory.soft_limit_in_bytes", limits.reservation);
  set("memory", "memory.swappiness", limits.swappiness);
  if (limits.disableOomKiller) set("memory", "memory.oom_control", 1);
  set("cpu", "cpu.shares", limits.shares);
  set("cpu", "cpu.cfs_period_us", limits.period);
  set("cpu", "cpu.cfs_quota_us", limits.quota);
  set("cpuset", "cpuset.cpus", limits.cpus);
  set("cpuset", "cpuset.mems", limits.mems);
  return settings;
}

/**
 * The limits of a new cgroup as writes to files of version 2. Those that only version 1 has are left out, see
 * {@link refuseV1Only}.
 * @throws InvalidDocumentError swap is limited without memory, or to less than it
 */
export function v2Settings(limits: Limits): Setting[] {
  const settings: Setting[] = [];
  const set = adder(settings);
  set("pids", "pids.max", limits.pids);
  set("memory", "memory.max", unlimitedAsMax(limits.memory));
  set("memory", "memory.swap.max", swapAlone(limits.memory, limits.memoryAndSwap));
  set("memory", "memory.low", unlimitedAsMax(limits.reservation));
  set("cpu", "cpu.weight", limits.shares === undefined ? undefined : weightOfShares(limits.shares));
  set("cpu", "cpu.max", cpuMax(limits.quota, limits.period));
  set("cpuset", "cpuset.cpus", limits.cpus);
  set("cpuset", "cpuset.mems", limits.mems);
  for (const [file, value] of limits.unified) set(file.slice(0, file.indexOf(".")), file, value);
  return settings;
}

/** Shares (2 to 262144, 1024 as a rule) as a weight (1 to 10000, 100 as a rule): all three points of both meet. */
export function weightOfShares(shares: number): number {
  if (shares <= 2) return 1;
  if (shares >= 262144) return 10000;
  const power = Math.log2(shares);
  return Math.ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34));
}

type Add = (controller: string, file: string, value: number | string | undefined) => void;

function adder(settings: Setting[]): Add {
  return (controller, file, value) => {
    if (value !== undefined) settings.push({ controller, file, value: String(value) });
  };
}

function unlimitedAsMax(limit: number | undefined): number | string | undefined {
  return limit === -1 ? "max" : limit;
}

/** Version 1 and the specification count memory and swap together, version 2 swap alone. */
function swapAlone(memory: number | undefined, memoryAndSwap: number | undefined): number | string | undefined {
  if (memoryAndSwap === undefined) return undefined;
  if (memoryAndSwap === -1) return "max";
  if (memory === undefined || memory === -1) {
    throw new InvalidDocumentError("linux.resources.memory.swap is limited, but memory.limit is not", {
      hint: "swap is the sum of memory and swap: limit the memory too",
    });
  }
  if (memoryAndSwap < memory) {
    throw new InvalidDocumentError(
      `linux.resources.memory.swap (${memoryAndSwap}) is less than memory.limit (${memory}), which it includes`,
    );
  }
  return memoryAndSwap - memory;
}

/** `cpu.max` is "quota period" in microseconds. A quota of -1 is none. */
function cpuMax(quota: number | undefined, period: number | undefined): string | undefined {
  if (quota === undefined && period === undefined) return undefined;
  const allowed = quota === undefined || quota <= 0 ? "max" : String(quota);
  return period === undefined ? allowed : `${allowed} ${period}`;
}

/** @throws CgroupError a limit is asked for that only version 1 has */
export function refuseV1Only(limits: Limits): void {
  const name = limits.disableOomKiller
    ? "disableOOMKiller"
    : limits.swappiness === undefined
      ? undefined
      : "swappiness";
  if (name === undefined) return;
  throw new CgroupError(
    "CGROUPS_UNABLE",
    `linux.resources.memory.${name} exists in cgroups of version 1 only, and this host has version 2`,
  );
}

/** @throws CgroupError a limit is asked for that only version 2 has */
export function refuseV2Only(limits: Limits): void {
  if (limits.unified.length === 0) return;
  throw new CgroupError(
    "CGROUPS_UNABLE",
    "linux.resources.unified needs cgroups of version 2, and this host has version 1",
  );
}

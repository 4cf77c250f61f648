import type { Resources } from "../../oci/runtime-spec.ts";

/** The period to which `--cpus` gives its quota, in microseconds. */
const usualPeriod = 100_000;

/** The limits of a specification as `.HostConfig` has them: 0, the empty text or `null` for what is not limited. */
export function resourceFields(resources: Resources = {}) {
  const { memory = {}, cpu = {}, blockIO = {}, pids } = resources;
  const processors = processorTime(numberOf(cpu["quota"]), numberOf(cpu["period"]));
  return {
    CpuShares: numberOf(cpu["shares"]),
    Memory: numberOf(memory["limit"]),
    NanoCpus: processors.nanoCpus,
    BlkioWeight: numberOf(blockIO["weight"]),
    BlkioWeightDevice: deviceList(blockIO["weightDevice"]).map(({ path, weight }) => ({ Path: path, Weight: weight })),
    BlkioDeviceReadBps: rates(blockIO["throttleReadBpsDevice"]),
    BlkioDeviceWriteBps: rates(blockIO["throttleWriteBpsDevice"]),
    BlkioDeviceReadIOps: rates(blockIO["throttleReadIOPSDevice"]),
    BlkioDeviceWriteIOps: rates(blockIO["throttleWriteIOPSDevice"]),
    CpuPeriod: processors.period,
    CpuQuota: processors.quota,
    CpuRealtimePeriod: numberOf(cpu["realtimePeriod"]),
    CpuRealtimeRuntime: numberOf(cpu["realtimeRuntime"]),
    CpusetCpus: textOf(cpu["cpus"]),
    CpusetMems: textOf(cpu["mems"]),
    MemoryReservation: numberOf(memory["reservation"]),
    MemorySwap: numberOf(memory["swap"]),
    MemorySwappiness: memory["swappiness"] === undefined ? null : numberOf(memory["swappiness"]),
    OomKillDisable: memory["disableOOMKiller"] === undefined ? null : memory["disableOOMKiller"] === true,
    PidsLimit: pids === undefined ? null : pids.limit,
  };
}

/** A quota of the usual period is what `--cpus` comes to; Docker shows either the one or the other. */
function processorTime(quota: number, period: number) {
  if (period === usualPeriod && quota > 0) return { nanoCpus: (quota * 1e9) / usualPeriod, period: 0, quota: 0 };
  return { nanoCpus: 0, period, quota };
}

interface DeviceLimit {
  readonly path: string;
  readonly weight: number;
  readonly rate: number;
}

function rates(value: unknown) {
  return deviceList(value).map(({ path, rate }) => ({ Path: path, Rate: rate }));
}

/** The specification knows devices by their numbers only; these links are udev's. */
function deviceList(value: unknown): DeviceLimit[] {
  if (!Array.isArray(value)) return [];
  return value.map((entry: Readonly<Record<string, unknown>>) => ({
    path: `/dev/block/${numberOf(entry["major"])}:${numberOf(entry["minor"])}`,
    weight: numberOf(entry["weight"]),
    rate: numberOf(entry["rate"]),
  }));
}

function numberOf(value: unknown): number {
  return typeof value === "number" || typeof value === "bigint" ? Number(value) : 0;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

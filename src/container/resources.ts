import type { Resources } from "../oci/runtime-spec.ts";
import { UsageError } from "../util/errors.ts";
import { withoutAbsent } from "../util/without-absent.ts";
import { parseNumberList, type ResourceHost } from "./resource-host.ts";
import { deviceFlags, type DeviceLimit, type ResourceOptions } from "./resource-options.ts";
import { checkMemoryTogether } from "./resource-rules.ts";

/** The period to which `--cpus` gives a quota, in microseconds: the kernel's own. */
const usualPeriod = 100_000;

/** The limits of a new container. @throws as {@link askedResources} */
export function newResources(options: ResourceOptions, host: ResourceHost): Resources {
  return mergeResources({}, askedResources({}, options, host));
}

/** What a specification says when a container has these limits beside those that it has. */
export function mergeResources(present: Resources, asked: Resources): Resources {
  const { pids, ...merged } = { ...present, ...asked };
  return { ...merged, ...(pids !== undefined && pids.limit !== -1 && { pids }) };
}

/**
 * The parts of `linux.resources` that change: each of them whole, as limits in one part depend on each other.
 * @param present what the container has now
 * @throws UsageError this host does not have what a limit names, or limits do not fit together
 */
export function askedResources(present: Resources, options: ResourceOptions, host: ResourceHost): Resources {
  const memory = memoryOf(present.memory, options, host);
  const cpu = processorOf(options, host);
  const blockIO = blockIoOf(options, host);
  const { pidsLimit } = options;
  return {
    ...(memory !== undefined && { memory: { ...present.memory, ...memory } }),
    ...(cpu !== undefined && { cpu: { ...present.cpu, ...cpu } }),
    ...(blockIO !== undefined && { blockIO: { ...present.blockIO, ...blockIO } }),
    ...(pidsLimit !== undefined && { pids: { limit: pidsLimit } }),
  };
}

type Part = Record<string, unknown>;

function memoryOf(present: Part | undefined, options: ResourceOptions, host: ResourceHost): Part | undefined {
  const swap = options.memorySwap ?? defaultSwap(present, options, host);
  const part = withoutAbsent<Part>({
    limit: options.memory,
    swap,
    reservation: options.memoryReservation,
    swappiness: options.memorySwappiness,
    disableOOMKiller: options.oomKillDisable,
  });
  if (part === undefined) return undefined;
  const number = (name: string): number | undefined => (part[name] ?? present?.[name]) as number | undefined;
  checkMemoryTogether({
    memory: number("limit"),
    memorySwap: number("swap"),
    memoryReservation: number("reservation"),
  });
  return part;
}

/** As much swap as memory, where the kernel counts it; a container keeps what it has. */
function defaultSwap(present: Part | undefined, { memory }: ResourceOptions, host: ResourceHost): number | undefined {
  if (memory === undefined || present?.["swap"] !== undefined || !host.countsSwap()) return undefined;
  return 2 * memory;
}

function processorOf(options: ResourceOptions, host: ResourceHost): Part | undefined {
  const { cpus } = options;
  if (cpus !== undefined) checkProcessors(cpus, host.processors().size);
  refuseAbsent("--cpuset-cpus", options.cpusetCpus, () => host.processors());
  refuseAbsent("--cpuset-mems", options.cpusetMems, () => host.memoryNodes());
  return withoutAbsent<Part>({
    shares: options.cpuShares,
    period: cpus === undefined ? options.cpuPeriod : usualPeriod,
    quota: cpus === undefined ? options.cpuQuota : Math.floor((Math.round(cpus * 1e9) * usualPeriod) / 1e9),
    realtimePeriod: options.cpuRtPeriod,
    realtimeRuntime: options.cpuRtRuntime,
    cpus: options.cpusetCpus,
    mems: options.cpusetMems,
  });
}

function checkProcessors(cpus: number, available: number): void {
  if (cpus >= 0.01 && cpus <= available) return;
  throw new UsageError(`--cpus must be from 0.01 to ${available}, not ${cpus}`, {
    hint: `this machine has ${available} processor${available === 1 ? "" : "s"}`,
  });
}

/** A list of processors or memory nodes has to name such as there are. */
function refuseAbsent(flag: string, list: string | undefined, available: () => ReadonlySet<number>): void {
  if (list === undefined) return;
  const present = available();
  if ([...parseNumberList(list)].every((number) => present.has(number))) return;
  throw new UsageError(`${flag} ${list} names what this machine does not have: there are ${[...present].join(", ")}`);
}

function blockIoOf(options: ResourceOptions, host: ResourceHost): Part | undefined {
  const devices = (name: keyof typeof deviceFlags, valueName: "weight" | "rate") =>
    options[name]?.map(({ path, value }: DeviceLimit) => ({
      ...host.blockDevice(path, deviceFlags[name]),
      [valueName]: value,
    }));
  return withoutAbsent<Part>({
    weight: options.blkioWeight,
    weightDevice: devices("blkioWeightDevice", "weight"),
    throttleReadBpsDevice: devices("deviceReadBps", "rate"),
    throttleWriteBpsDevice: devices("deviceWriteBps", "rate"),
    throttleReadIOPSDevice: devices("deviceReadIops", "rate"),
    throttleWriteIOPSDevice: devices("deviceWriteIops", "rate"),
  });
}

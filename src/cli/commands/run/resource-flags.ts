import type { ContainerOptions } from "../../../container/options.ts";
import type { DeviceLimit, ResourceOptions } from "../../../container/resource-options.ts";
import { checkMemoryTogether, checkResources } from "../../../container/resource-rules.ts";
import { UsageError } from "../../../util/errors.ts";
import { parseSize } from "../../../util/units.ts";
import { type Unfinished, withoutAbsent } from "../../../util/without-absent.ts";
import type { FlagDefinitions, FlagValues } from "../../flags.ts";
import { parseInteger } from "./integer.ts";

const group = "Limits";
const size = (description: string) => ({ type: "string", valueHint: "SIZE", group, description }) as const;
const number = (description: string) => ({ type: "string", valueHint: "N", group, description }) as const;
const list = (description: string) => ({ type: "string", valueHint: "LIST", group, description }) as const;
const ofDevice = (valueHint: string, description: string) =>
  ({ type: "string", repeated: true, valueHint: `DEVICE:${valueHint}`, group, description }) as const;

/** The limits that `run` can give and `update` can change. */
export const changeableFlags = {
  memory: { ...size("The most memory, such as 512m; 6m at least"), alias: "m" },
  "memory-swap": size("Memory and swap together; -1 for no limit, twice the memory unless told"),
  "memory-reservation": size("Memory that is left to the container when it is scarce"),
  cpus: number("How many processors' time, such as 1.5"),
  "cpu-period": number("Period of the processors' quota, in microseconds"),
  "cpu-quota": number("Time of a processor in each period, in microseconds; -1 for no limit"),
  "cpu-shares": { ...number("Share of the processors beside other containers; 1024 is usual"), alias: "c" },
  "cpu-rt-period": number("Period of realtime scheduling, in microseconds"),
  "cpu-rt-runtime": number("Realtime in each period, in microseconds"),
  "cpuset-cpus": list("Processors to use, such as 0-3,7"),
  "cpuset-mems": list("Memory nodes to use"),
  "pids-limit": number("The most processes and threads; 0 or -1 for no limit"),
  "blkio-weight": number("Share of block devices beside other containers, 10 to 1000"),
} as const satisfies FlagDefinitions;

/** All limits of `run`, and what goes with them. */
export const resourceFlags = {
  ...changeableFlags,
  "memory-swappiness": number("How readily memory is swapped out, 0 to 100 (cgroups of version 1)"),
  "kernel-memory": size("Is refused: kernels have no such limit any more"),
  "oom-kill-disable": {
    type: "boolean",
    group,
    description: "Let processes wait for memory instead of killing one (cgroups of version 1)",
  },
  "blkio-weight-device": ofDevice("WEIGHT", "Share of one block device"),
  "device-read-bps": ofDevice("SIZE", "The most bytes read from a device each second"),
  "device-write-bps": ofDevice("SIZE", "The most bytes written to a device each second"),
  "device-read-iops": ofDevice("N", "The most reads from a device each second"),
  "device-write-iops": ofDevice("N", "The most writes to a device each second"),
  "oom-score-adj": number("Which is killed first when the machine lacks memory, -1000 to 1000"),
  "shm-size": size("Size of /dev/shm; 64m unless told"),
  "storage-opt": {
    type: "string",
    repeated: true,
    valueHint: "size=SIZE",
    group,
    description: "What it may write on the disk, by a project quota",
  },
  "cgroup-parent": {
    type: "string",
    valueHint: "PATH",
    group,
    description: "The cgroup to make the container's in; /gocker unless told",
  },
} as const satisfies FlagDefinitions;

type ChangeableValues = FlagValues<typeof changeableFlags>;
type ResourceValues = FlagValues<typeof resourceFlags>;

type LimitOptions = Pick<ContainerOptions, "resources" | "oomScoreAdj" | "shmSize" | "diskSize" | "cgroupParent">;

/**
 * What `run` is asked for by {@link resourceFlags}.
 * @throws {UsageError} a value is not of its form or range, or two exclude each other
 */
export function parseResourceFlags(flags: ResourceValues): LimitOptions {
  const options = {
    resources: parseResources(flags),
    oomScoreAdj: integer("oom-score-adj", flags["oom-score-adj"]),
    shmSize: bytes("shm-size", flags["shm-size"]),
    diskSize: parseDiskSize(flags["storage-opt"]),
    cgroupParent: flags["cgroup-parent"] || undefined,
  };
  const { oomScoreAdj = 0, cgroupParent = "" } = options;
  if (Math.abs(oomScoreAdj) > 1000) {
    throw new UsageError(`--oom-score-adj must be from -1000 to 1000, not ${oomScoreAdj}`);
  }
  if (cgroupParent.split("/").includes("..") || /[\0\n]/.test(cgroupParent)) {
    throw new UsageError(`invalid --cgroup-parent ${JSON.stringify(cgroupParent)}: it must not climb with ..`, {
      hint: "it is a path from the root of the cgroup hierarchies, such as /batch",
    });
  }
  return withoutAbsent<LimitOptions>(options) ?? {};
}

/** `--storage-opt size=SIZE`, the one of docker's that there is for overlay; the last one counts. */
function parseDiskSize(texts: readonly string[]): number | undefined {
  let limit: number | undefined;
  for (const text of texts) {
    const [, value] = /^size=(.*)$/i.exec(text) ?? [];
    if (value === undefined) {
      throw new UsageError(`invalid --storage-opt ${JSON.stringify(text)}: it is not of the form size=SIZE`);
    }
    limit = parseSize(value, "--storage-opt size");
    if (limit === 0) throw new UsageError("--storage-opt size must be more than 0");
  }
  return limit;
}

function parseResources(flags: ResourceValues): ResourceOptions | undefined {
  if ((flags["kernel-memory"] ?? "0") !== "0") {
    throw new UsageError(
      "--kernel-memory cannot be granted: kernels do not limit it apart from other memory any more",
      {
        hint: "--memory limits both together",
      },
    );
  }
  const swappiness = integer("memory-swappiness", flags["memory-swappiness"]);
  const options = withoutAbsent<ResourceOptions>({
    ...changeable(flags),
    // Docker's own default, for what the host has.
    memorySwappiness: swappiness === -1 ? undefined : swappiness,
    oomKillDisable: flags["oom-kill-disable"] || undefined,
    blkioWeightDevice: deviceLimits("blkio-weight-device", flags["blkio-weight-device"], integerOf),
    deviceReadBps: deviceLimits("device-read-bps", flags["device-read-bps"], parseSize),
    deviceWriteBps: deviceLimits("device-write-bps", flags["device-write-bps"], parseSize),
    deviceReadIops: deviceLimits("device-read-iops", flags["device-read-iops"], integerOf),
    deviceWriteIops: deviceLimits("device-write-iops", flags["device-write-iops"], integerOf),
  });
  if (options === undefined) return undefined;
  checkResources(options);
  checkMemoryTogether(options);
  return options;
}

/**
 * The limits that `update` is to change.
 * @returns undefined when there are none
 * @throws {UsageError} as {@link parseResourceFlags}; whether they fit those that the container has is not known here
 */
export function parseChangedResources(flags: ChangeableValues): ResourceOptions | undefined {
  const options = withoutAbsent<ResourceOptions>(changeable(flags));
  if (options !== undefined) checkResources(options);
  return options;
}

/** As with docker, 0 is a limit that is not given, except for the number of processes, which it does not limit. */
function changeable(flags: ChangeableValues): Unfinished<ResourceOptions> {
  const swap = flags["memory-swap"];
  const pids = integer("pids-limit", flags["pids-limit"]);
  return {
    memory: bytes("memory", flags.memory),
    memorySwap: swap === "-1" ? -1 : bytes("memory-swap", swap),
    memoryReservation: bytes("memory-reservation", flags["memory-reservation"]),
    cpus: flags.cpus === undefined ? undefined : notZero(parseProcessors(flags.cpus)),
    cpuPeriod: notZero(integer("cpu-period", flags["cpu-period"])),
    cpuQuota: notZero(integer("cpu-quota", flags["cpu-quota"])),
    cpuShares: notZero(integer("cpu-shares", flags["cpu-shares"])),
    cpuRtPeriod: notZero(integer("cpu-rt-period", flags["cpu-rt-period"])),
    cpuRtRuntime: notZero(integer("cpu-rt-runtime", flags["cpu-rt-runtime"])),
    cpusetCpus: flags["cpuset-cpus"] || undefined,
    cpusetMems: flags["cpuset-mems"] || undefined,
    pidsLimit: pids !== undefined && pids <= 0 ? -1 : pids,
    blkioWeight: notZero(integer("blkio-weight", flags["blkio-weight"])),
  };
}

function notZero(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value;
}

function bytes(name: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : notZero(parseSize(text, `--${name}`));
}

function integer(name: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseInteger(text, `--${name}`);
}

function integerOf(text: string, what: string): number {
  const value = parseInteger(text, what);
  if (value >= 0) return value;
  throw new UsageError(`${what} must not be negative`);
}

/** Docker's form of `--cpus`: a decimal number that is whole in billionths. */
function parseProcessors(text: string): number {
  if (/^\+?(?:\d{1,6}(?:\.\d{0,9})?|\.\d{1,9})0*$/.test(text)) return Number(text);
  throw new UsageError(`--cpus must be a number of processors such as 1.5, not ${JSON.stringify(text)}`);
}

/** `DEVICE:VALUE`, each of one block device below /dev. */
function deviceLimits(
  name: string,
  texts: readonly string[],
  parse: (text: string, what: string) => number,
): DeviceLimit[] | undefined {
  if (texts.length === 0) return undefined;
  return texts.map((text) => {
    const colon = text.indexOf(":");
    const path = text.slice(0, Math.max(0, colon));
    if (!path.startsWith("/dev/")) {
      throw new UsageError(`invalid --${name} ${JSON.stringify(text)}: it is not of the form /dev/DEVICE:VALUE`);
    }
    return { path, value: parse(text.slice(colon + 1), `the value of --${name} ${path}`) };
  });
}

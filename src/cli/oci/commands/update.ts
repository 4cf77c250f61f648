import { readFileSync } from "node:fs";
import type { Resources } from "../../../oci/runtime-spec.ts";
import { parseResources } from "../../../oci/runtime-spec-parse.ts";
import { updateContainer } from "../../../runtime/update.ts";
import { UsageError } from "../../../util/errors.ts";
import { parseSize } from "../../../util/units.ts";
import { withoutAbsent } from "../../../util/without-absent.ts";
import type { FlagValues } from "../../flags.ts";
import { ociCommand } from "../command.ts";

const number = (description: string) => ({ type: "string", valueHint: "N", description }) as const;
const size = (description: string) => ({ type: "string", valueHint: "BYTES", description }) as const;

const flags = {
  resources: {
    type: "string",
    alias: "r",
    valueHint: "FILE",
    description: "The limits as linux.resources of the specification has them, as JSON; - for standard input",
  },
  "blkio-weight": number("Weight of block input and output"),
  "cpu-period": number("Period of the processor's quota, in microseconds"),
  "cpu-quota": number("Processor time in each period, in microseconds; -1 for no limit"),
  "cpu-burst": number("Quota that may be saved up, in microseconds"),
  "cpu-share": { ...number("Share of the processors"), alias: "cpu-shares" },
  "cpu-rt-period": number("Period of realtime scheduling, in microseconds"),
  "cpu-rt-runtime": number("Realtime in each period, in microseconds"),
  "cpu-idle": number("1: only when nobody else wants the processor"),
  "cpuset-cpus": { type: "string", valueHint: "LIST", description: "Processors to use, such as 0-3,7" },
  "cpuset-mems": { type: "string", valueHint: "LIST", description: "Memory nodes to use" },
  memory: size("Memory; -1 for no limit"),
  "memory-reservation": size("Memory that is left when it becomes scarce"),
  "memory-swap": size("Memory and swap together; -1 for no limit"),
  "kernel-memory": size("Without effect, as in the kernel"),
  "kernel-memory-tcp": size("Without effect, as in the kernel"),
  "pids-limit": number("Processes; -1 for no limit"),
} as const;

export const updateCommand = ociCommand({
  meta: {
    name: "update",
    description: "Change the limits of a container",
    usage: "[OPTIONS] ID",
    operands: { minimum: 1, maximum: 1 },
  },
  flags,
  async run({ flags: given, operands, store, warn }) {
    const resources = given.resources === undefined ? fromFlags(given) : readResources(given.resources);
    using container = await store.lock(operands[0] ?? "");
    await updateContainer(container, resources, warn);
    return 0;
  },
});

function readResources(path: string): Resources {
  let read: Uint8Array;
  try {
    read = readFileSync(path === "-" ? 0 : path);
  } catch (error) {
    throw new UsageError(`the limits cannot be read: ${(error as Error).message}`, { cause: error });
  }
  return parseResources(read);
}

/** Only what is given: the other limits stay. */
function fromFlags(given: FlagValues<typeof flags>): Resources {
  const memory = withoutAbsent<Record<string, unknown>>({
    limit: bytes("memory", given.memory),
    reservation: bytes("memory-reservation", given["memory-reservation"]),
    swap: bytes("memory-swap", given["memory-swap"]),
    kernel: bytes("kernel-memory", given["kernel-memory"]),
    kernelTCP: bytes("kernel-memory-tcp", given["kernel-memory-tcp"]),
  });
  const cpu = withoutAbsent<Record<string, unknown>>({
    shares: integer("cpu-share", given["cpu-share"]),
    quota: integer("cpu-quota", given["cpu-quota"]),
    period: integer("cpu-period", given["cpu-period"]),
    burst: integer("cpu-burst", given["cpu-burst"]),
    realtimeRuntime: integer("cpu-rt-runtime", given["cpu-rt-runtime"]),
    realtimePeriod: integer("cpu-rt-period", given["cpu-rt-period"]),
    idle: integer("cpu-idle", given["cpu-idle"]),
    cpus: given["cpuset-cpus"],
    mems: given["cpuset-mems"],
  });
  const blockIO = withoutAbsent<Record<string, unknown>>({ weight: integer("blkio-weight", given["blkio-weight"]) });
  const pids = integer("pids-limit", given["pids-limit"]);
  return {
    ...(memory !== undefined && { memory }),
    ...(cpu !== undefined && { cpu }),
    ...(blockIO !== undefined && { blockIO }),
    ...(pids !== undefined && { pids: { limit: pids } }),
  };
}

function integer(name: string, text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (/^-?\d{1,19}$/.test(text)) return Number(text);
  throw new UsageError(`--${name} must be a whole number, not ${JSON.stringify(text)}`);
}

function bytes(name: string, text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  return text === "-1" ? -1 : parseSize(text, `--${name}`);
}

import type { Resources } from "../../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../../util/errors.ts";
import { type BlockIoLimits, readBlockIo } from "./block-io.ts";
import { Group, wrong } from "./values.ts";

/** The limits of `linux.resources`, checked; undefined: not asked for. config-linux.md, "Control groups" */
export interface Limits {
  readonly memory: MemoryLimits;
  readonly cpu: CpuLimits;
  /** Processes and threads. */
  readonly pids: number | "max" | undefined;
  readonly blockIo: BlockIoLimits;
  readonly hugePages: readonly HugePageLimit[];
  readonly network: NetworkLimits;
  readonly rdma: readonly RdmaLimit[];
  /** Files of version 2 and their values, as given. */
  readonly unified: readonly (readonly [file: string, value: string])[];
  /** What is asked for and has no effect: a sentence each. */
  readonly notes: readonly string[];
}

/** In bytes; -1 for no limit. */
export interface MemoryLimits {
  readonly limit: number | undefined;
  /** Memory and swap together. */
  readonly swap: number | undefined;
  readonly reservation: number | undefined;
  readonly kernelTcp: number | undefined;
  /** 0 to 100. */
  readonly swappiness: number | undefined;
  readonly disableOomKiller: boolean | undefined;
  readonly useHierarchy: boolean | undefined;
  /** Refuse a limit below what is in use now, rather than have processes killed for it. */
  readonly checkBeforeUpdate: boolean;
}

/** Times are in microseconds. */
export interface CpuLimits {
  readonly shares: number | undefined;
  /** Of each `period`; -1 for all of it. */
  readonly quota: number | undefined;
  readonly period: number | undefined;
  readonly burst: number | undefined;
  readonly realtimeRuntime: number | undefined;
  readonly realtimePeriod: number | undefined;
  /** 1: runs only when nothing else does. */
  readonly idle: number | undefined;
  /** Lists such as `0-3,7`. */
  readonly cpus: string | undefined;
  readonly mems: string | undefined;
}

export interface HugePageLimit {
  readonly path: string;
  /** As the kernel's files have it: `2MB`, `1GB`. */
  readonly pageSize: string;
  /** In bytes; -1 for no limit. */
  readonly limit: number;
}

export interface NetworkLimits {
  /** The class that packets are marked with, for the traffic control of the host. */
  readonly classId: number | undefined;
  readonly priorities: readonly { readonly path: string; readonly name: string; readonly priority: number }[];
}

export interface RdmaLimit {
  readonly path: string;
  readonly device: string;
  readonly handles: number | undefined;
  readonly objects: number | undefined;
}

const root = "linux.resources";

const known = {
  resources: ["devices", "memory", "cpu", "pids", "blockIO", "hugepageLimits", "network", "rdma", "unified"],
  memory: [
    "limit",
    "reservation",
    "swap",
    "kernel",
    "kernelTCP",
    "swappiness",
    "disableOOMKiller",
    "useHierarchy",
    "checkBeforeUpdate",
  ],
  cpu: ["shares", "quota", "burst", "period", "realtimeRuntime", "realtimePeriod", "cpus", "mems", "idle"],
  rdma: ["hcaHandles", "hcaObjects"],
} as const;

/**
 * Reads and checks `linux.resources`, apart from `devices`.
 * @throws InvalidDocumentError a value is not of its type or range; the message has the property's path
 */
export function readLimits(resources: Resources): Limits {
  const notes: string[] = [];
  const group = new Group(resources, root, known.resources, notes);
  return {
    memory: readMemory(group.get("memory"), notes),
    cpu: readCpu(group.get("cpu"), notes),
    pids: readPids(group.get("pids"), notes),
    blockIo: readBlockIo(group.get("blockIO"), notes),
    hugePages: readHugePages(group, notes),
    network: readNetwork(group.get("network"), notes),
    rdma: readRdma(group.get("rdma"), notes),
    unified: readUnified(group.get("unified")),
    notes,
  };
}

function readMemory(value: unknown, notes: string[]): MemoryLimits {
  const group = new Group(value, `${root}.memory`, known.memory, notes);
  if (group.limit("kernel") !== undefined) {
    notes.push(`${root}.memory.kernel has no effect: kernels do not limit it apart from other memory (Linux 5.16)`);
  }
  return {
    limit: group.limit("limit"),
    swap: group.limit("swap"),
    reservation: group.limit("reservation"),
    kernelTcp: group.limit("kernelTCP"),
    swappiness: swappiness(group),
    disableOomKiller: group.boolean("disableOOMKiller"),
    useHierarchy: group.boolean("useHierarchy"),
    checkBeforeUpdate: group.boolean("checkBeforeUpdate") ?? false,
  };
}

/** Docker writes -1 for "not set", which Go turns into the largest number. */
function swappiness(group: Group): number | undefined {
  const value = group.integer("swappiness", -1);
  if (value === -1 || value === Number.POSITIVE_INFINITY) return undefined;
  return group.integer("swappiness", 0, 100);
}

function readCpu(value: unknown, notes: string[]): CpuLimits {
  const group = new Group(value, `${root}.cpu`, known.cpu, notes);
  const list = /^[0-9,:/-]+$/;
  const quota = group.limit("quota");
  return {
    shares: group.positive("shares"),
    quota,
    period: group.positive("period", Number.MAX_SAFE_INTEGER),
    burst: group.integer("burst", 0, Number.MAX_SAFE_INTEGER),
    realtimeRuntime: group.limit("realtimeRuntime"),
    realtimePeriod: group.positive("realtimePeriod", Number.MAX_SAFE_INTEGER),
    idle: group.integer("idle", 0, 1),
    cpus: group.text("cpus", list, "a list such as 0-3,7"),
    mems: group.text("mems", list, "a list such as 0-3,7"),
  };
}

/** 0 is one, as runc has it since 1.4: systemd knows no limit of 0, and a process is in the cgroup already. */
function readPids(value: unknown, notes: string[]): number | "max" | undefined {
  const limit = new Group(value, `${root}.pids`, ["limit"], notes).integer("limit", -1);
  if (limit === -1 || limit === Number.POSITIVE_INFINITY) return "max";
  return limit === 0 ? 1 : limit;
}

function readHugePages(resources: Group, notes: string[]): HugePageLimit[] {
  return resources.list("hugepageLimits", ["pageSize", "limit"], notes).map((entry) => {
    const limit = entry.required("limit", entry.integer("limit", 0));
    return {
      path: `${entry.path}.limit`,
      pageSize: entry.required("pageSize", entry.text("pageSize", /^[1-9][0-9]*[KMG]B$/, "a size such as 2MB or 1GB")),
      limit: limit === Number.POSITIVE_INFINITY ? -1 : limit,
    };
  });
}

function readNetwork(value: unknown, notes: string[]): NetworkLimits {
  const group = new Group(value, `${root}.network`, ["classID", "priorities"], notes);
  const most = 0xffff_ffff;
  return {
    classId: group.positive("classID", most),
    priorities: group.list("priorities", ["name", "priority"], notes).map((entry) => ({
      path: entry.path,
      name: entry.required("name", entry.text("name", /^[^\s/]{1,15}$/, "an interface's name")),
      priority: entry.required("priority", entry.integer("priority", 0, most)),
    })),
  };
}

function readRdma(value: unknown, notes: string[]): RdmaLimit[] {
  if (value === undefined) return [];
  const path = `${root}.rdma`;
  if (typeof value !== "object" || value === null) throw wrong(path, value, "an object");
  return Object.entries(value).map(([device, limits]) => {
    if (!/^[^\s/]+$/.test(device)) throw wrong(path, device, "names of devices such as mlx5_0");
    const group = new Group(limits, `${path}.${device}`, known.rdma, notes);
    const most = 0xffff_ffff;
    return {
      path: group.path,
      device,
      handles: group.integer("hcaHandles", 0, most),
      objects: group.integer("hcaObjects", 0, most),
    };
  });
}

function readUnified(value: unknown): (readonly [file: string, value: string])[] {
  if (value === undefined) return [];
  const path = `${root}.unified`;
  if (typeof value !== "object" || value === null) throw wrong(path, value, "an object");
  return Object.entries(value).map(([file, content]: [string, unknown]) => {
    if (!/^[a-z0-9_]+\.[A-Za-z0-9_.]+$/.test(file)) {
      throw new InvalidDocumentError(`${path}: the specified key has not the form CONTROLLER.VALUE \`${file}\``, {
        hint: "keys are names of files such as memory.high",
      });
    }
    if (typeof content !== "string") throw wrong(`${path}["${file}"]`, content, "a text");
    return [file, content] as const;
  });
}

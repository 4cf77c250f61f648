import type { Resources } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import { CgroupError } from "./errors.ts";

/** The limits of `linux.resources` that gocker sets, checked. Undefined: not asked for. */
export interface Limits {
  readonly pids: number | "max" | undefined;
  /** In bytes, as the two after it; -1 for none. */
  readonly memory: number | undefined;
  /** Memory and swap together. */
  readonly memoryAndSwap: number | undefined;
  readonly reservation: number | undefined;
  readonly swappiness: number | undefined;
  readonly disableOomKiller: boolean;
  readonly shares: number | undefined;
  /** In microseconds of each `period`; -1 for all of it. */
  readonly quota: number | undefined;
  readonly period: number | undefined;
  /** Lists such as `0-3,7`. */
  readonly cpus: string | undefined;
  readonly mems: string | undefined;
  /** Files of version 2 and their values, as given. */
  readonly unified: readonly (readonly [file: string, value: string])[];
}

const known = {
  resources: ["devices", "memory", "cpu", "pids", "unified"],
  memory: ["limit", "reservation", "swap", "swappiness", "disableOOMKiller", "useHierarchy", "checkBeforeUpdate"],
  cpu: ["shares", "quota", "period", "cpus", "mems"],
} as const;

/**
 * Reads and checks `linux.resources`.
 * @throws InvalidDocumentError a value is not of its type
 * @throws CgroupError a limit that gocker does not set: better none than one that is silently missing
 */
export function readLimits(resources: Resources): Limits {
  const { memory = {}, cpu = {}, pids } = resources;
  refuseOthers(resources, known.resources, "");
  refuseOthers(memory, known.memory, "memory.");
  refuseOthers(cpu, known.cpu, "cpu.");
  return {
    pids: pids === undefined ? undefined : pidsLimit(pids.limit),
    memory: unlessZero(integer(memory, "limit", "memory", -1)),
    memoryAndSwap: unlessZero(integer(memory, "swap", "memory", -1)),
    reservation: unlessZero(integer(memory, "reservation", "memory", -1)),
    swappiness: integer(memory, "swappiness", "memory", 0, 100),
    disableOomKiller: boolean(memory, "disableOOMKiller", "memory") ?? false,
    shares: unlessZero(integer(cpu, "shares", "cpu", 0)),
    quota: unlessZero(integer(cpu, "quota", "cpu", -1)),
    period: unlessZero(integer(cpu, "period", "cpu", 0)),
    cpus: list(cpu, "cpus"),
    mems: list(cpu, "mems"),
    unified: Object.entries(resources.unified ?? {}).map(([file, value]) => [controlFile(file), value] as const),
  };
}

function refuseOthers(values: object, names: readonly string[], prefix: string): void {
  for (const [name, value] of Object.entries(values)) {
    if (names.includes(name) || value === undefined || isEmpty(value)) continue;
    throw new CgroupError("CGROUPS_UNABLE", `gocker does not set the limit linux.resources.${prefix}${name}`, {
      hint: "leave it out",
    });
  }
}

/** Tools that write specifications put empty objects and lists where they limit nothing. */
function isEmpty(value: unknown): boolean {
  return value === null || (typeof value === "object" && Object.keys(value).length === 0);
}

/** Zero stands for "not set", as with the other runtimes: it comes from tools whose language has no absent number. */
function unlessZero(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value;
}

function pidsLimit(limit: unknown): number | "max" {
  if (typeof limit !== "number" || !Number.isInteger(limit)) throw wrong("pids.limit", limit, "a whole number");
  return limit > 0 ? limit : "max";
}

function integer(
  values: Record<string, unknown>,
  name: string,
  group: string,
  least: number,
  most: number = Number.MAX_SAFE_INTEGER,
): number | undefined {
  const value = values[name];
  if (value === undefined || value === null) return undefined;
  // Docker and others write the largest 64-bit number for "no limit": JSON makes it one that is not safe.
  if (typeof value === "number" && value > Number.MAX_SAFE_INTEGER && least === -1) return -1;
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw wrong(
    `${group}.${name}`,
    value,
    `a whole number from ${least}${most === Number.MAX_SAFE_INTEGER ? "" : ` to ${most}`}`,
  );
}

function boolean(values: Record<string, unknown>, name: string, group: string): boolean | undefined {
  const value = values[name];
  if (value === undefined || value === null || typeof value === "boolean") return value ?? undefined;
  throw wrong(`${group}.${name}`, value, "true or false");
}

function list(values: Record<string, unknown>, name: string): string | undefined {
  const value = values[name];
  if (value === undefined || value === "") return undefined;
  if (typeof value === "string" && /^[0-9,:/-]+$/.test(value)) return value;
  throw wrong(`cpu.${name}`, value, "a list such as 0-3,7");
}

/** A name of a file in the cgroup, with the controller before the dot; not a path. */
function controlFile(name: string): string {
  if (/^[a-z0-9_]+\.[A-Za-z0-9_.]+$/.test(name)) return name;
  throw wrong("unified", name, "names of files such as memory.high");
}

function wrong(name: string, value: unknown, expected: string): InvalidDocumentError {
  return new InvalidDocumentError(`linux.resources.${name} is ${JSON.stringify(value)}: expected ${expected}`);
}

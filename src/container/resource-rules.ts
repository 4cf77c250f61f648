import { UsageError } from "../util/errors.ts";
import type { ResourceOptions } from "./resource-options.ts";

/** Below it the kernel cannot even start a process: docker's minimum. */
const leastMemory = 6 * 2 ** 20;

/** A list of numbers and ranges such as `0-3,7`, as the kernel's cpuset files have them. */
const listForm = /^\d{1,5}(?:-\d{1,5})?(?:,\d{1,5}(?:-\d{1,5})?)*$/;

/**
 * Docker's rules for limits, as far as they need no host to be checked on.
 * @throws UsageError one is out of its range, or two exclude each other
 */
export function checkResources(options: ResourceOptions): void {
  checkMemory(options);
  checkProcessor(options);
  inRange("--blkio-weight", options.blkioWeight, 10, 1000);
  for (const { path, value } of options.blkioWeightDevice ?? []) {
    if (value !== 0) inRange(`--blkio-weight-device ${path}`, value, 10, 1000);
  }
}

/** Limits of memory that have to fit together; also those of a container that some are changed of. */
export interface MemoryTogether {
  readonly memory?: number | undefined;
  readonly memorySwap?: number | undefined;
  readonly memoryReservation?: number | undefined;
}

/** @throws UsageError memory is limited to more than memory and swap together, or to less than is to be left */
export function checkMemoryTogether({ memory, memorySwap, memoryReservation }: MemoryTogether): void {
  const isLimited = memorySwap !== undefined && memorySwap !== -1;
  if (isLimited && memory === undefined) {
    throw new UsageError("--memory-swap limits memory and swap together, and needs --memory beside it", {
      hint: "--memory-swap -1 is no limit of swap",
    });
  }
  if (isLimited && memory !== undefined && memorySwap < memory) {
    throw new UsageError(`--memory-swap (${memorySwap} bytes) is less than --memory (${memory} bytes)`, {
      hint: "it is the sum of memory and swap: change both of them; equal ones leave no swap",
    });
  }
  if (memory !== undefined && memoryReservation !== undefined && memory < memoryReservation) {
    throw new UsageError(`--memory (${memory} bytes) is less than --memory-reservation (${memoryReservation} bytes)`, {
      hint: "what is left to a container when memory is scarce cannot be more than it may have at most",
    });
  }
}

function checkMemory(options: ResourceOptions): void {
  for (const [flag, value] of [
    ["--memory", options.memory],
    ["--memory-reservation", options.memoryReservation],
  ] as const) {
    if (value === undefined || value >= leastMemory) continue;
    throw new UsageError(`${flag} (${value} bytes) is too little: the minimum is 6m`);
  }
  inRange("--memory-swappiness", options.memorySwappiness, 0, 100);
}

function checkProcessor(options: ResourceOptions): void {
  const { cpus, cpuPeriod, cpuQuota, cpuRtPeriod, cpuRtRuntime } = options;
  for (const [flag, value] of [
    ["--cpu-period", cpuPeriod],
    ["--cpu-quota", cpuQuota],
  ] as const) {
    if (cpus === undefined || value === undefined) continue;
    throw new UsageError(`conflicting options: --cpus and ${flag} cannot both be set`, {
      hint: "--cpus 1.5 is a quota of 150000 in a period of 100000 microseconds",
    });
  }
  inRange("--cpu-period", cpuPeriod, 1000, 1_000_000);
  if (cpuQuota !== -1) inRange("--cpu-quota", cpuQuota, 1000, Number.MAX_SAFE_INTEGER);
  inRange("--cpu-shares", options.cpuShares, 2, 262_144);
  inRange("--cpu-rt-period", cpuRtPeriod, 1, Number.MAX_SAFE_INTEGER);
  if (cpuRtRuntime !== -1) inRange("--cpu-rt-runtime", cpuRtRuntime, 1, cpuRtPeriod ?? Number.MAX_SAFE_INTEGER);
  checkList("--cpuset-cpus", options.cpusetCpus);
  checkList("--cpuset-mems", options.cpusetMems);
}

function checkList(flag: string, text: string | undefined): void {
  if (text === undefined || (listForm.test(text) && text.split(",").every(isRising))) return;
  throw new UsageError(`invalid ${flag} ${JSON.stringify(text)}: it is no list such as 0-3,7`);
}

function isRising(range: string): boolean {
  const [first = 0, last = first] = range.split("-").map(Number);
  return first <= last;
}

function inRange(flag: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined || (value >= least && value <= most)) return;
  const range = most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : `from ${least} to ${most}`;
  throw new UsageError(`${flag} must be ${range}, not ${value}`);
}

import { words } from "../../linux/launch/plan.ts";
import type { Rlimit } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { PlanBuilder } from "./builder.ts";

const group = "process";

/** getrlimit(2): the numbers are those of x86-64 and arm64. */
const rlimits = [
  ["RLIMIT_CPU", 0],
  ["RLIMIT_FSIZE", 1],
  ["RLIMIT_DATA", 2],
  ["RLIMIT_STACK", 3],
  ["RLIMIT_CORE", 4],
  ["RLIMIT_RSS", 5],
  ["RLIMIT_NPROC", 6],
  ["RLIMIT_NOFILE", 7],
  ["RLIMIT_MEMLOCK", 8],
  ["RLIMIT_AS", 9],
  ["RLIMIT_LOCKS", 10],
  ["RLIMIT_SIGPENDING", 11],
  ["RLIMIT_MSGQUEUE", 12],
  ["RLIMIT_NICE", 13],
  ["RLIMIT_RTPRIO", 14],
  ["RLIMIT_RTTIME", 15],
] as const;
const rlimitNumbers = new Map<string, number>(rlimits);

/** `process.rlimits`. prlimit(2) @throws InvalidDocumentError for an unknown or repeated limit */
export function addRlimits(builder: PlanBuilder, limits: readonly Rlimit[]): void {
  const seen = new Set<string>();
  for (const [index, { type, soft, hard }] of limits.entries()) {
    const number = rlimitNumbers.get(type);
    const property = `process.rlimits[${index}]`;
    if (number === undefined) throw new InvalidDocumentError(`${property}.type: unknown limit ${JSON.stringify(type)}`);
    if (seen.has(type)) throw new InvalidDocumentError(`${property}.type: ${type} is given twice`);
    seen.add(type);
    builder.add({
      label: `Limit ${type.slice("RLIMIT_".length).toLowerCase()} to ${limitText(soft)} (at most ${limitText(hard)})`,
      group,
      syscall: "prlimit64",
      args: [0, number, words(limitValue(soft), limitValue(hard)), 0],
    });
  }
}

/**
 * Raises hard limits to where {@link addRlimits} is to find them: nobody but the host's root may, who the process is no
 * more when it comes to that in a user namespace. getrlimit(2)
 * @param hardLimit of gocker, which the process has from it, by the number of the limit
 */
export function addRaisedLimits(
  builder: PlanBuilder,
  limits: readonly Rlimit[],
  hardLimit: (resource: number) => bigint,
): void {
  for (const { type, hard } of limits) {
    const number = rlimitNumbers.get(type);
    const value = limitValue(hard);
    if (number === undefined || value <= hardLimit(number)) continue;
    builder.add({
      label: `Let ${type.slice("RLIMIT_".length).toLowerCase()} be limited to ${limitText(hard)}`,
      group,
      syscall: "prlimit64",
      args: [0, number, words(value, value), 0],
    });
  }
}

/** -1 stands for "unlimited", and so does 2^64-1, which JSON's numbers round up. */
function isUnlimited(value: number): boolean {
  return value < 0 || value >= 2 ** 64;
}

function limitValue(value: number): bigint {
  return isUnlimited(value) ? 0xffff_ffff_ffff_ffffn : BigInt(value);
}

function limitText(value: number): string {
  return isUnlimited(value) ? "unlimited" : String(value);
}

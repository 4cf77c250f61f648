import type { Rlimit } from "../oci/runtime-spec.ts";
import { UsageError } from "../util/errors.ts";
import type { Ulimit } from "../engine/options.ts";

/** Linux's resource limits. getrlimit(2) */
const names = new Set([
  "as",
  "core",
  "cpu",
  "data",
  "fsize",
  "locks",
  "memlock",
  "msgqueue",
  "nice",
  "nofile",
  "nproc",
  "rss",
  "rtprio",
  "rttime",
  "sigpending",
  "stack",
]);

/**
 * RLIM_INFINITY is 2^64 - 1, which a JavaScript number cannot hold: this is the nearest, and also what
 * `JSON.parse` makes of the real one. `serialiseSpec` writes the real one.
 */
export const unlimited = 2 ** 64;

/**
 * The resource limits of a specification from `--ulimit`; the last of equal names counts.
 * @throws UsageError an unknown name, or a soft limit above the hard one
 */
export function buildRlimits(ulimits: readonly Ulimit[]): Rlimit[] {
  const limits = new Map<string, Rlimit>();
  for (const { name, soft, hard } of ulimits) {
    if (!names.has(name))
      throw new UsageError(`unknown ulimit ${JSON.stringify(name)}`, { hint: [...names].join(", ") });
    const limit = { type: `RLIMIT_${name.toUpperCase()}`, soft: toLimit(soft), hard: toLimit(hard) };
    if (limit.soft > limit.hard) {
      throw new UsageError(`ulimit ${name}: the soft limit ${soft} is above the hard limit ${hard}`);
    }
    limits.set(name, limit);
  }
  return [...limits.values()];
}

function toLimit(value: number): number {
  return value === -1 ? unlimited : value;
}

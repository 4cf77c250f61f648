import type { Rlimit } from "../oci/runtime-spec.ts";
import { UsageError } from "../util/errors.ts";
import type { Ulimit } from "./options.ts";

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
const unlimited = 2 ** 64;

/** What a container gets under Docker by systemd's default. Programs that use select(2) break on more. */
const openFiles = 1024;

/**
 * The resource limits of a specification from `--ulimit`; the last of equal names counts. The soft limit of open files
 * is always set: Bun has raised gocker's own to the hard one.
 * @param hardOpenFiles the hard limit of open files that the container inherits
 * @throws UsageError an unknown name, or a soft limit above the hard one
 */
export function buildRlimits(ulimits: readonly Ulimit[], hardOpenFiles = unlimited): Rlimit[] {
  const limits = new Map<string, Rlimit>([
    ["nofile", { type: "RLIMIT_NOFILE", soft: Math.min(openFiles, hardOpenFiles), hard: hardOpenFiles }],
  ]);
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

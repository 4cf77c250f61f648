import type { RuntimeSpec } from "../oci/runtime-spec.ts";

/**
 * A specification as the text of a `config.json`. RLIM_INFINITY and the arguments of a filter, which a JavaScript number
 * may not hold, are written exactly, because other runtimes read unsigned 64-bit numbers.
 */
export function serialiseSpec(spec: RuntimeSpec): string {
  return JSON.stringify(spec, hasLargeArguments(spec) ? exactly : undefined, 2).replace(
    /("(?:soft|hard)": )18446744073709552000\b/g,
    "$118446744073709551615",
  );
}

/** Few filters do; to ask about each value in the specification takes longer than to write it. */
function hasLargeArguments({ linux }: RuntimeSpec): boolean {
  const all = linux?.seccomp?.syscalls?.flatMap(({ args = [] }) => args) ?? [];
  return all.some(({ value, valueTwo }) => typeof value === "bigint" || typeof valueTwo === "bigint");
}

function exactly(_key: string, value: unknown): unknown {
  const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => unknown };
  return typeof value === "bigint" ? rawJSON(String(value)) : value;
}

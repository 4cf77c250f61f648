import { parseRetryAfter } from "./retry.ts";

/** What a registry says of its limit, in its headers. */
export interface RateLimit {
  /** Requests allowed in a window. */
  readonly limit: number | undefined;
  /** Requests left in it. */
  readonly remaining: number | undefined;
  /** The window's length in seconds. */
  readonly window: number | undefined;
  /** Whom the registry counts for: an address or an account. */
  readonly source: string | undefined;
  /** Milliseconds until it is worth trying again, where the registry says so. */
  readonly retryAfter: number | undefined;
  readonly resetAt: Date | undefined;
}

/**
 * Reads `ratelimit-limit: 100;w=21600` and its kin (Docker Hub), Retry-After, and the reset times that others send as
 * seconds or as seconds since 1970.
 */
export function readRateLimit(headers: Headers, now: number = Date.now()): RateLimit {
  const limit = numbered(headers.get("ratelimit-limit") ?? headers.get("x-ratelimit-limit"));
  const remaining = numbered(headers.get("ratelimit-remaining") ?? headers.get("x-ratelimit-remaining"));
  const reset = numbered(
    headers.get("ratelimit-reset") ?? headers.get("x-ratelimit-reset") ?? headers.get("x-retry-after"),
  )?.number;
  // A number of this size is a moment, a smaller one a duration.
  const untilReset = reset === undefined ? undefined : reset > 1e9 ? reset * 1000 - now : reset * 1000;
  const retryAfter = parseRetryAfter(headers.get("retry-after"), now) ?? untilReset;
  const source = headers.get("docker-ratelimit-source");
  return {
    limit: limit?.number,
    remaining: remaining?.number,
    window: limit?.window ?? remaining?.window,
    source: source === null || !/^[\w.:-]{1,64}$/.test(source) ? undefined : source,
    retryAfter: retryAfter === undefined ? undefined : Math.max(0, retryAfter),
    // Below a second it is no limit that ends, only a wish for patience.
    resetAt: retryAfter === undefined || retryAfter < 1000 ? undefined : new Date(now + retryAfter),
  };
}

/** The limit in words: `100 requests in 6 hours for 192.0.2.1`; undefined when the registry did not say. */
export function describeRateLimit({ limit, window, source }: RateLimit): string | undefined {
  if (limit === undefined) return undefined;
  const during = window === undefined ? "" : ` in ${duration(window)}`;
  return `${limit} requests${during}${source === undefined ? "" : ` for ${source}`}`;
}

function numbered(header: string | null): { number: number; window: number | undefined } | undefined {
  const found = /^\s*(\d+)(?:\s*;\s*w=(\d+))?/.exec(header ?? "");
  if (found === null) return undefined;
  return { number: Number(found[1]), window: found[2] === undefined ? undefined : Number(found[2]) };
}

function duration(seconds: number): string {
  for (const [name, length] of [
    ["hour", 3600],
    ["minute", 60],
  ] as const) {
    if (seconds >= length && seconds % length === 0) {
      const count = seconds / length;
      return count === 1 ? `an ${name}`.replace("an minute", "a minute") : `${count} ${name}s`;
    }
  }
  return `${seconds} seconds`;
}

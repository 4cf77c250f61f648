import { RegistryError } from "./errors.ts";

/** How often and how patiently a request is tried again. */
export interface RetryPolicy {
  /** Tries in all. */
  readonly attempts: number;
  /** Milliseconds before the second try; doubled for each one after it. */
  readonly firstDelay: number;
  readonly longestDelay: number;
  /** A registry that wants more patience than this many milliseconds gets none: the user is told. */
  readonly longestRetryAfter: number;
}

export const defaultRetryPolicy: RetryPolicy = {
  attempts: 5,
  firstDelay: 400,
  longestDelay: 10_000,
  longestRetryAfter: 60_000,
};

/** A closed port seldom opens within seconds: its user should not wait for the message that says so. */
const attemptsOfRefused = 3;

const unitMilliseconds: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/**
 * Reads a Retry-After header: seconds or a date (RFC 9110, 10.2.3), or what a Go program prints for a duration, as
 * Docker Hub does (`985.86µs`).
 *
 * @returns milliseconds from `now`, never negative; undefined when it is of no such form.
 */
export function parseRetryAfter(header: string | null, now: number = Date.now()): number | undefined {
  const text = header?.trim() ?? "";
  if (text === "") return undefined;
  if (/^\d+(?:\.\d+)?$/.test(text)) return Number(text) * 1000;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|μs|Âµs|ms|s|m|h)/g)];
  if (parts.length > 0 && parts.map(([part]) => part).join("") === text) {
    // Header bytes are read as Latin-1, so a µ of UTF-8 arrives as two characters.
    return parts.reduce(
      (sum, [, number, unit = ""]) => sum + Number(number) * (unitMilliseconds[unit.replace("Â", "")] ?? 0),
      0,
    );
  }
  // Anything goes for Date.parse; an HTTP date begins with a weekday.
  const date = /^[A-Za-z]{3,9},? /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/**
 * How long to wait before the next try, with jitter so that many clients do not come back at once.
 *
 * @param attempt the tries made until now, 1 or more.
 * @returns milliseconds, or undefined when it is not worth trying again.
 */
export function retryDelay(
  error: unknown,
  attempt: number,
  policy: RetryPolicy = defaultRetryPolicy,
  random: () => number = Math.random,
): number | undefined {
  if (!(error instanceof RegistryError) || !error.retryable) return undefined;
  const attempts =
    error.failure === "refused-connection" ? Math.min(attemptsOfRefused, policy.attempts) : policy.attempts;
  if (attempt >= attempts) return undefined;
  const backOff = Math.min(policy.firstDelay * 2 ** (attempt - 1), policy.longestDelay);
  const jittered = backOff * (0.5 + random() / 2);
  if (error.retryAfter === undefined) return jittered;
  if (error.retryAfter > policy.longestRetryAfter) return undefined;
  return Math.max(error.retryAfter + (jittered - backOff / 2), jittered);
}

/** Runs `deed` until it succeeds, cannot, or the policy's patience ends. Aborting ends a wait at once. */
export async function withRetries<Result>(
  deed: (attempt: number) => Promise<Result>,
  options: {
    policy?: RetryPolicy | undefined;
    signal?: AbortSignal | undefined;
    onRetry?: ((error: RegistryError, delay: number) => void) | undefined;
  } = {},
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await deed(attempt);
    } catch (error) {
      const delay = retryDelay(error, attempt, options.policy);
      if (delay === undefined || options.signal?.aborted === true) throw error;
      options.onRetry?.(error as RegistryError, delay);
      await wait(delay, options.signal);
    }
  }
}

async function wait(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const aborted = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", aborted, { once: true });
  });
}

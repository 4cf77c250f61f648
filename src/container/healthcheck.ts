import type { ImageConfigExecution } from "../oci/image-config.ts";
import { UsageError } from "../util/errors.ts";
import type { ContainerHealth } from "./record.ts";

/**
 * How it is found out whether a container works, in Docker's terms; times in nanoseconds. What is absent, empty or zero is
 * inherited from the image, and the default where that has nothing either.
 */
export interface Healthcheck {
  /** `CMD` and the words of a command, `CMD-SHELL` and a line for the shell, `NONE`; empty: the image's. */
  readonly test?: readonly string[];
  readonly interval?: number;
  readonly timeout?: number;
  readonly startPeriod?: number;
  readonly startInterval?: number;
  readonly retries?: number;
  /** The image's shell, for `CMD-SHELL`. */
  readonly shell?: readonly string[];
}

/** What is to be executed, and when. Times are in nanoseconds. */
export interface HealthProbe {
  readonly args: readonly string[];
  /** From the end of one probe to the beginning of the next. */
  readonly interval: number;
  /** How long a probe may take before it counts as failed. */
  readonly timeout: number;
  /** For so long after the start failures do not count. */
  readonly startPeriod: number;
  /** Stands for {@link interval} during that time. */
  readonly startInterval: number;
  /** So many failures in a row make a container unhealthy. */
  readonly retries: number;
}

const second = 1e9;
/** Docker's. moby, daemon/health.go */
const defaults = {
  interval: 30 * second,
  timeout: 30 * second,
  startPeriod: 0,
  startInterval: 5 * second,
  retries: 3,
} as const;

const defaultShell = ["/bin/sh", "-c"];

/**
 * What a container's record says of its health check: the user's wishes on top of the image's, each for itself.
 * @returns undefined when neither has any
 */
export function mergeHealthcheck(
  user: Healthcheck | undefined,
  image: Pick<ImageConfigExecution, "Healthcheck" | "Shell"> | undefined,
): Healthcheck | undefined {
  const own = image?.Healthcheck ?? {};
  const shell = image?.Shell ?? [];
  const test = (user?.test ?? []).length > 0 ? user?.test : own.Test;
  const merged = {
    ...(test !== undefined && test.length > 0 && { test }),
    ...positive("interval", user?.interval, own.Interval),
    ...positive("timeout", user?.timeout, own.Timeout),
    ...positive("startPeriod", user?.startPeriod, own.StartPeriod),
    ...positive("startInterval", user?.startInterval, own.StartInterval),
    ...positive("retries", user?.retries, own.Retries),
  };
  if (Object.keys(merged).length === 0) return undefined;
  return { ...merged, ...(shell.length > 0 && test?.[0] === "CMD-SHELL" && { shell }) };
}

type Numbers = "interval" | "timeout" | "startPeriod" | "startInterval" | "retries";

/** An image may say anything: what makes no sense counts as nothing, so that its containers run. */
function positive(name: Numbers, ...values: readonly (number | undefined)[]): { readonly [Name in Numbers]?: number } {
  const value = values.find((one) => one !== undefined && one > 0);
  return value === undefined ? {} : { [name]: value };
}

/**
 * What a monitor has to do for a health check.
 * @returns undefined when there is nothing to do: no test, `NONE`, or a kind that Docker does not know either
 */
export function probeOf(healthcheck: Healthcheck | undefined): HealthProbe | undefined {
  if (healthcheck === undefined) return undefined;
  const { test: [kind, ...words] = [], shell = defaultShell, ...times } = healthcheck;
  if (words.length === 0 || (kind !== "CMD" && kind !== "CMD-SHELL")) return undefined;
  return { ...defaults, ...times, args: kind === "CMD" ? words : [...shell, ...words] };
}

/** Nanoseconds: Docker takes no shorter time. */
const shortest = 1e6;

/**
 * Makes sure of what a user asks for.
 * @throws UsageError a time is shorter than a millisecond, and not zero
 */
export function checkHealthcheck(healthcheck: Healthcheck): void {
  const times = {
    "--health-interval": healthcheck.interval,
    "--health-timeout": healthcheck.timeout,
    "--health-start-period": healthcheck.startPeriod,
    "--health-start-interval": healthcheck.startInterval,
  };
  for (const [flag, time] of Object.entries(times)) {
    if (time === undefined || time === 0 || time >= shortest) continue;
    throw new UsageError(`${flag} cannot be less than 1ms`);
  }
}

/** Of a container that has just been started, and has not been probed yet. */
export const unknownHealth: ContainerHealth = { status: "starting", failingStreak: 0, log: [] };

import { checkHealthcheck, type Healthcheck } from "../../../container/healthcheck.ts";
import { UsageError } from "../../../util/errors.ts";
import { parseNanoseconds } from "../../../util/units.ts";
import type { FlagDefinitions, FlagValues } from "../../flags.ts";
import { groups } from "./groups.ts";

export const healthFlags = {
  "health-cmd": {
    type: "string",
    valueHint: "COMMAND",
    group: groups.health,
    description: "A line for the container's shell that tells by its exit code whether all is well",
  },
  "health-interval": {
    type: "string",
    valueHint: "TIME",
    group: groups.health,
    description: "How long to wait between two checks (30s)",
  },
  "health-timeout": {
    type: "string",
    valueHint: "TIME",
    group: groups.health,
    description: "How long a check may take (30s)",
  },
  "health-retries": {
    type: "string",
    valueHint: "N",
    group: groups.health,
    description: "How many checks in a row must fail (3)",
  },
  "health-start-period": {
    type: "string",
    valueHint: "TIME",
    group: groups.health,
    description: "How long after the start failures do not count (0s)",
  },
  "health-start-interval": {
    type: "string",
    valueHint: "TIME",
    group: groups.health,
    description: "How long to wait between two checks in that time (5s)",
  },
  "no-healthcheck": { type: "boolean", group: groups.health, description: "Make none, whatever the image says" },
} as const satisfies FlagDefinitions;

type HealthFlag = Exclude<keyof typeof healthFlags, "no-healthcheck">;

/**
 * Reads the flags of health checks. What is not given is left to the image.
 * @returns undefined when none is given
 * @throws {UsageError}
 */
export function healthOptions(flags: FlagValues<typeof healthFlags>): Healthcheck | undefined {
  const given = (name: HealthFlag) => (flags[name] === "" ? undefined : flags[name]);
  const command = given("health-cmd");
  const time = (name: HealthFlag, key: keyof Healthcheck) => {
    const text = given(name);
    return text === undefined ? {} : { [key]: parseNanoseconds(text, `--${name}`) };
  };
  const healthcheck: Healthcheck = {
    ...(command !== undefined && { test: ["CMD-SHELL", command] }),
    ...time("health-interval", "interval"),
    ...time("health-timeout", "timeout"),
    ...time("health-start-period", "startPeriod"),
    ...time("health-start-interval", "startInterval"),
    ...retries(given("health-retries")),
  };
  const isEmpty = Object.keys(healthcheck).length === 0;
  if (flags["no-healthcheck"]) {
    if (isEmpty) return { test: ["NONE"] };
    throw new UsageError("--no-healthcheck conflicts with the --health-… flags");
  }
  checkHealthcheck(healthcheck);
  return isEmpty ? undefined : healthcheck;
}

function retries(text: string | undefined): Pick<Healthcheck, "retries"> {
  if (text === undefined) return {};
  if (!/^\d{1,9}$/.test(text)) {
    throw new UsageError(`invalid --health-retries ${JSON.stringify(text)}: it is not a number of checks`);
  }
  return { retries: Number(text) };
}

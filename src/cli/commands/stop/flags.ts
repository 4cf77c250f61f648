import type { StopOptions } from "../../../engine/stop.ts";
import { signalNumber } from "../../../linux/signals.ts";
import { UsageError } from "../../../util/errors.ts";
import type { FlagDefinitions, FlagValues } from "../../flags.ts";

/** How a container is stopped: of `stop` and `restart`. */
export const stopFlags = {
  timeout: {
    type: "string",
    alias: "t",
    valueHint: "SECONDS",
    description: "How long to wait before killing it; -1 for ever (the container's own, else 10)",
  },
  time: { type: "string", valueHint: "SECONDS", description: "The same, by its older name" },
  signal: { type: "string", alias: "s", valueHint: "SIGNAL", description: "The signal that asks it to end" },
} as const satisfies FlagDefinitions;

/** @throws {UsageError} a value is not of its form */
export function stopOptions({ timeout, time, signal }: FlagValues<typeof stopFlags>): StopOptions {
  const seconds = timeout ?? time;
  if (seconds !== undefined && !/^[+-]?\d{1,9}$/.test(seconds)) {
    throw new UsageError(`invalid --timeout ${JSON.stringify(seconds)}: it is a number of seconds`);
  }
  return {
    timeout: seconds === undefined ? undefined : Number(seconds),
    signal: signal === undefined || signal === "" ? undefined : signalOf(signal),
  };
}

/** The number of a signal that a user named. @throws {UsageError} there is none of that name */
export function signalOf(text: string): number {
  const number = signalNumber(text);
  if (number !== undefined) return number;
  throw new UsageError(`there is no signal ${JSON.stringify(text)}`, {
    hint: "signal(7) lists them: SIGTERM, KILL, 15",
  });
}

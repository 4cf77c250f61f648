import type { RestartPolicy } from "../../../container/record.ts";
import { UsageError } from "../../../util/errors.ts";

const names: ReadonlySet<string> = new Set([
  "always",
  "on-failure",
  "unless-stopped",
] satisfies RestartPolicy["name"][]);

/**
 * Reads the value of `--restart`: `no`, `always`, `unless-stopped` or `on-failure[:N]`. As with Docker, the empty text
 * is `no`, and 0 retries are any number.
 * @returns undefined for `no`
 * @throws {UsageError} it is not of this form, or only `on-failure` can have a number
 */
export function parseRestart(text: string): RestartPolicy | undefined {
  const colon = text.indexOf(":");
  const name = colon < 0 ? text : text.slice(0, colon);
  const count = colon < 0 ? "" : text.slice(colon + 1);
  if (colon === 0) throw wrong(text, "there is no policy before the colon");
  if (!/^(?:[+-]?\d{1,15})?$/.test(count)) throw wrong(text, "the number of retries must be a whole number");
  const retries = Number(count);
  if (name !== "" && name !== "no" && !isPolicyName(name)) {
    throw wrong(text, `there is no policy ${JSON.stringify(name)}`);
  }
  if (retries !== 0 && name !== "on-failure") throw wrong(text, "only on-failure can have a number of retries");
  if (retries < 0) throw wrong(text, "the number of retries cannot be negative");
  if (!isPolicyName(name)) return undefined;
  return retries === 0 ? { name } : { name, maximumRetries: retries };
}

/**
 * Refuses what cannot be had together: a container that is removed at its end has nothing that could start again.
 * @throws {UsageError}
 */
export function checkRestart(restart: RestartPolicy | undefined, remove: boolean): void {
  if (restart === undefined || !remove) return;
  throw new UsageError("conflicting options: cannot specify both --restart and --rm", {
    hint: "a container with --rm is removed when it has ended: leave one of the two out",
  });
}

function isPolicyName(name: string): name is RestartPolicy["name"] {
  return names.has(name);
}

function wrong(text: string, reason: string): UsageError {
  return new UsageError(`invalid --restart ${JSON.stringify(text)}: ${reason}`, {
    hint: "it is no, always, unless-stopped or on-failure[:MAX-RETRIES]",
  });
}

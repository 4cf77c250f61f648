import { checkLogConfiguration } from "../../../container/logs/log-options.ts";
import type { LogConfiguration } from "../../../container/record.ts";
import { UsageError } from "../../../util/errors.ts";

const drivers: readonly string[] = ["json-file", "local", "journald", "none"] satisfies LogConfiguration["driver"][];

/**
 * Reads `--log-driver` and `--log-opt`.
 * @param driver the empty text is the usual one
 * @param texts `NAME=VALUE`; the last of two with one name counts
 * @returns undefined when neither was given
 * @throws {UsageError} there is no such driver, or it does not take these options
 */
export function parseLog(driver: string, texts: readonly string[]): LogConfiguration | undefined {
  if (driver === "" && texts.length === 0) return undefined;
  const configuration = { driver: driver === "" ? "json-file" : driver, options: parseOptions(texts) };
  if (!isKnown(configuration)) {
    throw new UsageError(`invalid --log-driver ${JSON.stringify(driver)}: gocker has no such log driver`, {
      hint: `it has ${drivers.join(", ")}`,
    });
  }
  checkLogConfiguration(configuration);
  return configuration;
}

function isKnown(configuration: { readonly driver: string }): configuration is LogConfiguration {
  return drivers.includes(configuration.driver);
}

function parseOptions(texts: readonly string[]): Record<string, string> {
  const options = new Map<string, string>();
  for (const text of texts) {
    const [name = "", value] = text.split(/=(.*)/s, 2);
    if (name === "" || value === undefined) {
      throw new UsageError(`invalid --log-opt ${JSON.stringify(text)}: it is not of the form NAME=VALUE`, {
        hint: "it looks like max-size=10m",
      });
    }
    options.set(name, value);
  }
  return Object.fromEntries(options);
}

import { UsageError } from "../util/errors.ts";

/**
 * Reads the values of a flag such as `--label`, each `KEY=VALUE` or `KEY` alone, whose value is empty then. The last of
 * two equal keys counts.
 * @throws {UsageError} a key is empty
 */
export function parseKeyValues(flag: string, texts: readonly string[]): Record<string, string> {
  const values: Record<string, string> = {};
  for (const text of texts) {
    const [key = "", value = ""] = text.split(/=(.*)/s, 2);
    if (key.trim() === "") throw new UsageError(`invalid ${flag} ${JSON.stringify(text)}: its name is empty`);
    // A plain assignment would set the prototype for the key `__proto__`.
    Object.defineProperty(values, key, { value, enumerable: true, configurable: true, writable: true });
  }
  return values;
}

import { UsageError } from "../../../util/errors.ts";

/** As Go's strconv.ParseInt reads numbers with base 0, which docker's flags do: `0x10` and `010` are 16 and 8. */
const forms = /^([+-]?)(?:(0[xX][\da-fA-F]+|0[bB][01]+|0[oO][0-7]+)|0([0-7]+)|(\d+))$/;

/**
 * A whole number as docker's flags have it.
 * @param what the flag, for the message
 * @throws {UsageError}
 */
export function parseInteger(text: string, what: string): number {
  const [, sign, prefixed, octal, decimal] = forms.exec(text) ?? [];
  const digits = prefixed ?? (octal === undefined ? decimal : `0o${octal}`);
  const isLeading = decimal !== undefined && decimal.length > 1 && decimal.startsWith("0");
  const value = digits === undefined || isLeading ? Number.NaN : Number(digits);
  if (Number.isSafeInteger(value)) return sign === "-" && value !== 0 ? -value : value;
  throw new UsageError(`${what} must be a whole number, not ${JSON.stringify(text)}`);
}

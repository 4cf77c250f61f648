import { UsageError } from "../../../util/errors.ts";

/** Whether a filter's value means yes. @throws {UsageError} it means neither yes nor no */
export function filterSwitch(name: string, value: string): boolean {
  if (/^(?:1|t|true)$/i.test(value)) return true;
  if (/^(?:0|f|false)$/i.test(value)) return false;
  throw new UsageError(`invalid --filter ${name}=${value}: it is true or false`);
}

/** Docker's test of a name: it is the value, or the value is a regular expression that fits a part of it. */
export function nameTest(value: string): (named: { readonly name: string }) => boolean {
  const expression = parseExpression(value);
  return ({ name }) => name === value || expression?.test(name) === true;
}

/** Undefined for none: such a value fits itself only. */
function parseExpression(text: string): RegExp | undefined {
  try {
    return new RegExp(text);
  } catch {
    return undefined;
  }
}

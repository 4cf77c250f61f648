/** `JSON.parse` that gives integers which a number cannot hold exactly as bigint. Throws SyntaxError. */
export function parseExactJson(text: string): unknown {
  // So many digits an integer has to have that a number cannot hold; without them there is nothing to look at twice.
  if (!/\d{16}/.test(text)) return JSON.parse(text) as unknown;
  return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) => {
    if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
    const source = context?.source ?? "";
    return /^-?\d+$/.test(source) ? BigInt(source) : value;
  });
}

/** `JSON.stringify` of what {@link parseExactJson} gives: a bigint as the number that it is. */
export function stringifyExact(value: unknown): string {
  const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => unknown };
  return JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? rawJSON(String(part)) : part));
}

/** `JSON.stringify` that writes a bigint as the integer that it is. */
export function writeExactJson(value: unknown, space?: string | number): string {
  return JSON.stringify(value, (_key, entry: unknown) => (typeof entry === "bigint" ? rawJson(entry) : entry), space);
}

/** ECMAScript 2026, JSON.rawJSON; the compiler's library does not declare it yet. */
function rawJson(value: bigint): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(String(value));
}

const simpleEscapes: Readonly<Record<string, string>> = {
  a: "\u0007",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
};

/**
 * What a quoted string or character of Go's says. Go's language specification, "Rune literals"
 * @param inside without the quotes
 * @returns undefined when an escape in it is none
 */
export function unquote(inside: string): string | undefined {
  let isValid = true;
  const text = inside.replace(
    /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{3})|(.|$))/gsu,
    (_whole, byte?: string, short?: string, long?: string, octal?: string, simple?: string) => {
      const code = byte ?? short ?? long;
      if (code !== undefined && Number.parseInt(code, 16) <= 0x10ffff) {
        return String.fromCodePoint(Number.parseInt(code, 16));
      }
      if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
      const replacement = simple === undefined ? undefined : simpleEscapes[simple];
      isValid &&= replacement !== undefined;
      return replacement ?? "";
    },
  );
  return isValid ? text : undefined;
}

/** What may begin a number, and all that may belong to one: whether it is one, {@link parseNumber} says. */
export const numberCharacters = /[+-]?(?:\d|\.\d)(?:[eEpP][+-]|[\w.])*/y;

/** The value of one of Go's numbers (`12`, `-1_000`, `0x1F`, `0b1`, `0o17`, `017`, `1.5e3`); undefined when it is none. */
export function parseNumber(text: string): number | undefined {
  const sign = text.startsWith("-") ? -1 : 1;
  const digits = text.replace(/^[+-]/, "").replace(/(?<=[\da-fA-FxXoObB])_(?=[\da-fA-F])/g, "");
  if (/^0[xX][\da-fA-F]+$|^0[oO][0-7]+$|^0[bB][01]+$/.test(digits)) return sign * Number(digits.toLowerCase());
  if (/^0[0-7]+$/.test(digits)) return sign * Number.parseInt(digits, 8);
  return /^(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(digits) ? sign * Number(digits) : undefined;
}

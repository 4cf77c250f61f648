import { fieldValues, formatted, isList, isMap, isStructure, sortedEntries, typeName } from "./values.ts";

const verb = /%([-+# 0]*)(\d+|\*)?(?:\.(\d+|\*)?)?(.|$)/gsu;

/** Go's `fmt.Sprintf`. Package fmt, "Printing" and "Format errors" */
export function sprintf(format: string, values: readonly unknown[]): string {
  let used = 0;
  const text = format.replace(
    verb,
    (whole: string, flags: string, width: string | undefined, precision: string | undefined, letter: string) => {
      if (letter === "%") return "%";
      if (letter === "") return "%!(NOVERB)";
      const number = (given: string | undefined) =>
        given === "*" ? Number(values[used++]) : Number(given ?? Number.NaN);
      const columns = number(width);
      const hasPoint = whole.includes(".");
      const digits = hasPoint ? number(precision ?? "0") : Number.NaN;
      if (used >= values.length) return `%!${letter}(MISSING)`;
      const cell = formatVerb(letter, values[used++], flags, digits);
      return pad(cell, columns, flags, letter);
    },
  );
  const extra = values.slice(used).map((value) => `${typeName(value)}=${formatted(value)}`);
  return extra.length === 0 ? text : `${text}%!(EXTRA ${extra.join(", ")})`;
}

function pad(text: string, columns: number, flags: string, letter: string): string {
  const missing = Number.isNaN(columns) ? 0 : columns - Array.from(text).length;
  if (missing <= 0) return text;
  if (flags.includes("-")) return text + " ".repeat(missing);
  if (!flags.includes("0") || !"dxXobfFeEgG".includes(letter)) return " ".repeat(missing) + text;
  const sign = /^[+-]/.exec(text)?.[0] ?? "";
  return sign + "0".repeat(missing) + text.slice(sign.length);
}

function formatVerb(letter: string, value: unknown, flags: string, precision: number): string {
  if (letter === "v") return formatted(value);
  if (letter === "T") return typeName(value);
  const inner = (one: unknown) => formatVerb(letter, one, flags, precision);
  if (isList(value)) return `[${value.map(inner).join(" ")}]`;
  if (isMap(value))
    return `map[${sortedEntries(value)
      .map((entry) => entry.map(inner).join(":"))
      .join(" ")}]`;
  if (isStructure(value)) return `{${fieldValues(value).map(inner).join(" ")}}`;
  const cell =
    typeof value === "string"
      ? formatText(letter, value, precision)
      : typeof value === "number"
        ? signed(formatNumber(letter, value, precision), flags)
        : typeof value === "boolean" && letter === "t"
          ? String(value)
          : undefined;
  if (cell !== undefined) return cell;
  if (value === undefined || value === null) return `%!${letter}(<nil>)`;
  return `%!${letter}(${typeName(value)}=${formatted(value)})`;
}

function signed(text: string | undefined, flags: string): string | undefined {
  if (text === undefined || text.startsWith("-")) return text;
  return flags.includes("+") ? `+${text}` : flags.includes(" ") ? ` ${text}` : text;
}

function formatText(letter: string, value: string, precision: number): string | undefined {
  const text = Number.isNaN(precision) ? value : Array.from(value).slice(0, precision).join("");
  if (letter === "s") return text;
  if (letter === "q") return JSON.stringify(text);
  if (letter !== "x" && letter !== "X") return undefined;
  const hexadecimal = Buffer.from(text).toString("hex");
  return letter === "x" ? hexadecimal : hexadecimal.toUpperCase();
}

function formatNumber(letter: string, value: number, precision: number): string | undefined {
  if ("eEfFgG".includes(letter) && !Number.isInteger(value)) return formatFraction(letter, value, precision);
  if (!Number.isInteger(value)) return undefined;
  switch (letter) {
    case "d":
      return String(value);
    case "b":
      return value.toString(2);
    case "o":
      return value.toString(8);
    case "x":
      return value.toString(16);
    case "X":
      return value.toString(16).toUpperCase();
    case "c":
      return String.fromCodePoint(value);
    case "q":
      return `'${String.fromCodePoint(value)}'`;
    case "U":
      return `U+${value.toString(16).toUpperCase().padStart(4, "0")}`;
    default:
      return undefined;
  }
}

function formatFraction(letter: string, value: number, precision: number): string {
  const digits = Number.isNaN(precision) ? 6 : precision;
  if (letter === "f" || letter === "F") return value.toFixed(digits);
  if (letter === "e" || letter === "E") return value.toExponential(digits).replace(/e([+-])(\d)$/, "e$10$2");
  return Number.isNaN(precision) ? formatted(value) : String(Number(value.toPrecision(Math.max(1, digits))));
}

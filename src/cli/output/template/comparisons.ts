import { formatted, isList, isMap, typeName } from "./values.ts";

/** `eq A B…`: whether the first is equal to any of the others. Throws Error as Go's does. */
export function equalsAny(first: unknown, others: readonly unknown[]): boolean {
  if (others.length === 0) throw new Error("missing argument for comparison");
  return others.some((other) => equals(first, other));
}

function equals(one: unknown, other: unknown): boolean {
  for (const value of [one, other]) {
    if (isList(value) || isMap(value)) throw new Error(`non-comparable type ${formatted(value)}: ${typeName(value)}`);
  }
  if (isNil(one) || isNil(other)) return isNil(one) && isNil(other);
  if (typeof one !== typeof other) throw new Error("incompatible types for comparison");
  return one === other;
}

function isNil(value: unknown): boolean {
  return value === undefined || value === null;
}

/** `lt A B`: numbers and texts have an order. Throws Error as Go's does. */
export function isLess(one: unknown, other: unknown): boolean {
  for (const value of [one, other]) {
    if (!["number", "string", "boolean"].includes(typeof value)) throw new Error("invalid type for comparison");
  }
  if (typeof one !== typeof other) throw new Error("incompatible types for comparison");
  if (typeof one === "number" && typeof other === "number") return one < other;
  if (typeof one !== "string" || typeof other !== "string") throw new Error("invalid type for comparison");
  return Buffer.compare(Buffer.from(one), Buffer.from(other)) < 0;
}

import type { Timestamp } from "./entry.ts";

const nul = 0x00;
const space = 0x20;
const zero = 0x30;
const seven = 0x37;

/**
 * The number in a header field: octal digits, or GNU's base-256 (the first byte's high bit set; big-endian two's
 * complement in the other bits). An empty field is 0. GNU tar manual, "Basic Tar Format" and "Extensions"
 * @returns undefined when the field holds neither, or a number beyond 2^53
 */
export function parseNumericField(block: Uint8Array, start: number, length: number): number | undefined {
  const first = block[start] as number;
  if ((first & 0x80) !== 0) return parseBase256(block, start, length);
  const end = start + length;
  let index = start;
  while (index < end && (block[index] === space || block[index] === nul)) index++;
  let value = 0;
  for (; index < end; index++) {
    const byte = block[index] as number;
    if (byte === nul || byte === space) break;
    if (byte < zero || byte > seven) return undefined;
    value = value * 8 + (byte - zero);
  }
  return value;
}

function parseBase256(block: Uint8Array, start: number, length: number): number | undefined {
  const first = block[start] as number;
  const negative = (first & 0x40) !== 0;
  // A negative number is read as its bitwise complement, so that both kinds grow from 0 upwards.
  const flip = negative ? 0xff : 0;
  let value = (first ^ flip) & 0x3f;
  for (let index = start + 1; index < start + length; index++) {
    value = value * 256 + ((block[index] as number) ^ flip);
    if (value > Number.MAX_SAFE_INTEGER) return undefined;
  }
  return negative ? -value - 1 : value;
}

/** Sixteen digits reach 2^53; any number of zeros may stand in front. */
const decimal = /^-?0*[0-9]{1,16}$/;

/** A PAX record's decimal number; undefined when it is none, or beyond 2^53. */
export function parseDecimal(text: string): number | undefined {
  if (!decimal.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

const decimalTime = /^(-?)0*([0-9]{1,16})(?:\.([0-9]*))?$/;

/** A PAX record's time: decimal seconds with any number of digits behind the point; those past nanoseconds are cut. */
export function parseTime(text: string): Timestamp | undefined {
  const match = decimalTime.exec(text);
  if (match === null) return undefined;
  const [, sign, whole, fraction = ""] = match;
  const seconds = Number(whole);
  if (!Number.isSafeInteger(seconds)) return undefined;
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, "0"));
  if (sign === "") return { seconds, nanoseconds };
  // -1.25 is 0.75 seconds after -2: a timestamp's nanoseconds always count forward.
  if (nanoseconds === 0) return { seconds: seconds === 0 ? 0 : -seconds, nanoseconds };
  return { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}

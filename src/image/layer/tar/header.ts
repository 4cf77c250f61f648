import type { ByteString } from "../../../linux/at.ts";
import { tarError } from "./errors.ts";
import { parseNumericField } from "./numbers.ts";

/** The unit of a tar archive: headers have this size and content is padded to it. POSIX.1-2024, pax, "ustar" */
export const blockSize = 512;

/** Dialects that differ in what stands behind the fields of Version 7. */
export type TarFormat = "v7" | "ustar" | "star" | "gnu";

/** One header block, read but not yet changed by the extended headers before it. */
export interface TarHeader {
  readonly format: TarFormat;
  /** The type letter: `0`, `5`, `x`, … NUL (Version 7's "file") is given as `0`. */
  readonly typeFlag: string;
  readonly path: ByteString;
  readonly linkPath: ByteString;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes that the header says follow it. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly modified: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
}

const nul = 0;

/** Whether a block holds nothing but zeros, as the two do that end an archive. */
export function isZeroBlock(bytes: Uint8Array, start: number): boolean {
  for (let index = start; index < start + blockSize; index++) if (bytes[index] !== nul) return false;
  return true;
}

/**
 * Reads the header block at `start`.
 * @param offset of the block in the archive, for errors
 * @throws InvalidDocumentError when the checksum is wrong or a field that counts is no number
 */
export function parseHeader(bytes: Buffer, start: number, offset: number): TarHeader {
  verifyChecksum(bytes, start, offset);
  const format = detectFormat(bytes, start);
  const typeByte = bytes[start + 156] as number;
  const isDevice = typeByte === 0x33 || typeByte === 0x34;
  const number = (name: string, at: number, length: number) => {
    const value = parseNumericField(bytes, start + at, length);
    if (value === undefined) throw tarError(offset, `the header's ${name} is not a number`);
    return value;
  };
  const size = number("size", 124, 12);
  if (size < 0) throw tarError(offset, "the header's size is negative");
  return {
    format,
    typeFlag: typeByte === nul ? "0" : String.fromCharCode(typeByte),
    path: parsePath(bytes, start, format),
    linkPath: parseText(bytes, start + 157, 100),
    mode: number("mode", 100, 8) & 0o7777,
    uid: number("user ID", 108, 8),
    gid: number("group ID", 116, 8),
    size,
    modified: number("time", 136, 12),
    // Other types may have anything there.
    deviceMajor: isDevice && format !== "v7" ? number("device number", 329, 8) : 0,
    deviceMinor: isDevice && format !== "v7" ? number("device number", 337, 8) : 0,
  };
}

/** The checksum is the sum of all bytes with its own field as spaces; old tars added signed bytes. */
function verifyChecksum(bytes: Buffer, start: number, offset: number): void {
  let unsigned = 8 * 0x20;
  let negatives = 0;
  for (let index = start; index < start + 148; index++) {
    const byte = bytes[index] as number;
    unsigned += byte;
    negatives += byte >> 7;
  }
  for (let index = start + 156; index < start + blockSize; index++) {
    const byte = bytes[index] as number;
    unsigned += byte;
    negatives += byte >> 7;
  }
  const expected = parseNumericField(bytes, start + 148, 8);
  if (expected === unsigned || expected === unsigned - 256 * negatives) return;
  throw tarError(offset, offset === 0 ? "this is no tar archive" : "the header's checksum is wrong");
}

function detectFormat(bytes: Buffer, start: number): TarFormat {
  if (bytes.toString("latin1", start + 257, start + 262) !== "ustar") return "v7";
  if (bytes[start + 262] !== nul) return "gnu";
  return bytes.toString("latin1", start + 508, start + 512) === "tar\0" ? "star" : "ustar";
}

/** GNU and Version 7 headers have other things, or nothing, where the name's prefix stands. */
function parsePath(bytes: Buffer, start: number, format: TarFormat): ByteString {
  const name = parseText(bytes, start, 100);
  if (format === "v7" || format === "gnu") return name;
  const prefix = parseText(bytes, start + 345, format === "star" ? 131 : 155);
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** The bytes of a field up to its first NUL. */
function parseText(bytes: Buffer, start: number, length: number): ByteString {
  let end = start;
  while (end < start + length && bytes[end] !== nul) end++;
  return bytes.toString("latin1", start, end);
}

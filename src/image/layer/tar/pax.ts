import type { ByteString } from "../../../linux/at.ts";
import type { Timestamp, TarXattr } from "./entry.ts";
import { tarError } from "./errors.ts";
import { parseDecimal, parseTime } from "./numbers.ts";

const equals = 0x3d;
const newline = 0x0a;
const space = 0x20;
const xattrPrefix = "SCHILY.xattr.";
const sparsePrefix = "GNU.sparse.";

/**
 * What PAX extended headers say of a member. `null` is a record with an empty value: it takes back what a global header
 * said. Only keywords that change how a member is unpacked are kept.
 */
export interface PaxAttributes {
  path?: ByteString | null;
  linkPath?: ByteString | null;
  size?: number | null;
  uid?: number | null;
  gid?: number | null;
  modified?: Timestamp | null;
  accessed?: Timestamp | null;
  xattrs?: Map<ByteString, Uint8Array>;
  sparse?: PaxSparse;
}

/** The `GNU.sparse.*` records. GNU tar manual, "Storing Sparse Files": formats 0.0, 0.1 and 1.0 */
export interface PaxSparse {
  major?: number;
  minor?: number;
  name?: ByteString;
  realSize?: number;
  /** Offset, length, offset, length, …: of formats 0.0 and 0.1. 1.0 has its map in front of the content. */
  map?: number[];
}

/**
 * Reads the records `LENGTH KEYWORD=VALUE\n` of an extended header. LENGTH counts the whole record, so that values may
 * hold newlines and, in extended attributes, NULs. POSIX.1-2024, pax, "pax Extended Header"
 *
 * Charset records (`hdrcharset`, `charset`) need no care: names are kept as the bytes that they are.
 * @param into attributes to add to; later records win
 * @param offset of the header in the archive, for errors
 * @throws InvalidDocumentError
 */
export function parsePaxRecords(bytes: Buffer, into: PaxAttributes, offset: number): void {
  let start = 0;
  while (start < bytes.length) {
    const blank = bytes.indexOf(space, start);
    // Five digits and a blank suffice for the largest header that the reader accepts, seven leave room for zeros.
    const length = blank < 0 || blank - start > 8 ? undefined : parseDecimal(bytes.toString("latin1", start, blank));
    const end = length === undefined ? 0 : start + length;
    if (end <= blank + 1 || end > bytes.length || bytes[end - 1] !== newline) {
      throw tarError(offset, "an extended header has a record of wrong length");
    }
    const sign = bytes.indexOf(equals, blank + 1);
    if (sign < 0 || sign >= end || sign === blank + 1) {
      throw tarError(offset, "an extended header has a record without keyword");
    }
    applyRecord(bytes.toString("latin1", blank + 1, sign), bytes.subarray(sign + 1, end - 1), into, offset);
    start = end;
  }
}

function applyRecord(keyword: ByteString, value: Buffer, into: PaxAttributes, offset: number): void {
  const wrong = () => tarError(offset, `an extended header's ${JSON.stringify(keyword)} has a wrong value`);
  const text = (): ByteString | null => {
    if (value.includes(0)) throw wrong();
    return value.length === 0 ? null : value.toString("latin1");
  };
  const parsed = <Value>(parse: (text: string) => Value | undefined): Value | null => {
    if (value.length === 0) return null;
    const result = parse(value.toString("latin1"));
    if (result === undefined) throw wrong();
    return result;
  };
  switch (keyword) {
    case "path":
      into.path = text();
      return;
    case "linkpath":
      into.linkPath = text();
      return;
    case "size":
      into.size = parsed(parseDecimal);
      if (into.size !== null && into.size < 0) throw wrong();
      return;
    case "uid":
      into.uid = parsed(parseDecimal);
      return;
    case "gid":
      into.gid = parsed(parseDecimal);
      return;
    case "mtime":
      into.modified = parsed(parseTime);
      return;
    case "atime":
      into.accessed = parsed(parseTime);
      return;
  }
  if (keyword.startsWith(xattrPrefix)) {
    const name = keyword.slice(xattrPrefix.length);
    if (name === "" || name.includes("\0")) throw wrong();
    // A copy: the header's buffer is used again for the next one.
    (into.xattrs ??= new Map()).set(name, new Uint8Array(value));
  } else if (keyword.startsWith(sparsePrefix)) {
    applySparseRecord(keyword.slice(sparsePrefix.length), text() ?? "", (into.sparse ??= {}), wrong);
  }
}

function applySparseRecord(keyword: string, value: string, into: PaxSparse, wrong: () => Error): void {
  const number = (text = value): number => {
    const result = parseDecimal(text);
    if (result === undefined || result < 0) throw wrong();
    return result;
  };
  switch (keyword) {
    case "major":
      into.major = number();
      return;
    case "minor":
      into.minor = number();
      return;
    case "name":
      into.name = value;
      return;
    case "realsize":
    case "size":
      into.realSize = number();
      return;
    case "offset":
    case "numbytes": {
      const map = (into.map ??= []);
      if (map.length % 2 !== (keyword === "offset" ? 0 : 1)) throw wrong();
      map.push(number());
      return;
    }
    case "map":
      into.map = value === "" ? [] : value.split(",").map(number);
      return;
  }
}

/** The attributes of one member: its own over the global ones. */
export function mergePax(global: PaxAttributes | undefined, local: PaxAttributes | undefined): PaxAttributes {
  if (global === undefined) return local ?? {};
  if (local === undefined) return global;
  const xattrs = global.xattrs === undefined ? local.xattrs : new Map([...global.xattrs, ...(local.xattrs ?? [])]);
  return { ...global, ...local, ...(xattrs === undefined ? {} : { xattrs }) };
}

/** The extended attributes as entries carry them. */
export function paxXattrs(attributes: PaxAttributes): readonly TarXattr[] {
  if (attributes.xattrs === undefined) return [];
  return Array.from(attributes.xattrs, ([name, value]) => ({ name, value }));
}

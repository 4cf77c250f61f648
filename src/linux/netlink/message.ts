/** Messages of netlink(7) and their attributes, rtnetlink(7). Numbers are the machine's, which are little-endian here. */

export const headerSize = 16;
const attributeHeaderSize = 4;

/** `struct nlmsghdr`: its types and flags. */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
const NLA_F_NESTED = 0x8000;

/** An attribute to send: a number is one of 32 bits, a text ends with a NUL, and a list is attributes within this one. */
export type Attribute = readonly [type: number, value: number | string | Uint8Array | readonly Attribute[]];

/** What is asked of the kernel. */
export interface Request {
  readonly type: number;
  /** NLM_F_… besides those that every request has. */
  readonly flags?: number;
  /** The structure that the type begins with, a multiple of four bytes long. */
  readonly body: Uint8Array;
  readonly attributes?: readonly Attribute[];
  /** Only a refusal of it is to be answered. */
  readonly isUnacknowledged?: boolean;
}

/** One message of the kernel. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** What follows the header. */
  readonly body: Buffer;
}

/** A request as the kernel reads it. */
export function encodeRequest(request: Request, sequence: number): Buffer {
  const { type, flags = 0, body, attributes = [], isUnacknowledged = false } = request;
  const bytes = Buffer.alloc(headerSize + body.length + attributesSize(attributes));
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags | NLM_F_REQUEST | (isUnacknowledged ? 0 : NLM_F_ACK), 6);
  bytes.writeUInt32LE(sequence, 8);
  bytes.set(body, headerSize);
  writeAttributes(bytes, headerSize + body.length, attributes);
  return bytes;
}

/** Attributes one after the other, for where they stand behind a structure that is an attribute's itself. */
export function encodeAttributes(attributes: readonly Attribute[]): Buffer {
  const bytes = Buffer.alloc(attributesSize(attributes));
  writeAttributes(bytes, 0, attributes);
  return bytes;
}

function attributesSize(attributes: readonly Attribute[]): number {
  let size = 0;
  for (const [, value] of attributes) size += aligned(attributeHeaderSize + valueSize(value));
  return size;
}

function valueSize(value: Attribute[1]): number {
  if (typeof value === "number") return 4;
  if (typeof value === "string") return Buffer.byteLength(value) + 1;
  return value instanceof Uint8Array ? value.length : attributesSize(value);
}

/** @param bytes zeros from the offset on */
function writeAttributes(bytes: Buffer, start: number, attributes: readonly Attribute[]): void {
  let offset = start;
  for (const [type, value] of attributes) {
    const length = attributeHeaderSize + valueSize(value);
    const at = offset + attributeHeaderSize;
    const isList = typeof value === "object" && !(value instanceof Uint8Array);
    if (length > 0xffff) throw new RangeError(`a netlink attribute of ${length} bytes`);
    bytes.writeUInt16LE(length, offset);
    bytes.writeUInt16LE(isList ? type | NLA_F_NESTED : type, offset + 2);
    if (typeof value === "number") bytes.writeUInt32LE(value, at);
    else if (typeof value === "string") bytes.write(value, at);
    else if (isList) writeAttributes(bytes, at, value);
    else bytes.set(value, at);
    offset += aligned(length);
  }
}

/** The messages of what was received at once. */
export function decodeMessages(bytes: Buffer): Message[] {
  const messages: Message[] = [];
  let offset = 0;
  while (offset + headerSize <= bytes.length) {
    const length = bytes.readUInt32LE(offset);
    if (length < headerSize || offset + length > bytes.length) break;
    messages.push({
      type: bytes.readUInt16LE(offset + 4),
      flags: bytes.readUInt16LE(offset + 6),
      sequence: bytes.readUInt32LE(offset + 8),
      body: bytes.subarray(offset + headerSize, offset + length),
    });
    offset += aligned(length);
  }
  return messages;
}

/**
 * The attributes from an offset of a body on, by their types; the last of each.
 * @param wanted the types that matter: all unless told
 */
export function decodeAttributes(body: Buffer, start: number, wanted?: readonly number[]): Map<number, Buffer> {
  return new Map(decodeAttributeList(body, start, wanted));
}

/** {@link decodeAttributes} in their order. */
export function decodeAttributeList(
  body: Buffer,
  start: number,
  wanted?: readonly number[],
): [type: number, value: Buffer][] {
  const attributes: [number, Buffer][] = [];
  const typeMask = 0x3fff;
  let offset = start;
  while (offset + attributeHeaderSize <= body.length) {
    const length = body.readUInt16LE(offset);
    if (length < attributeHeaderSize || offset + length > body.length) break;
    const type = body.readUInt16LE(offset + 2) & typeMask;
    if (wanted?.includes(type) !== false) {
      attributes.push([type, body.subarray(offset + attributeHeaderSize, offset + length)]);
    }
    offset += aligned(length);
  }
  return attributes;
}

/** What NLMSG_ERROR says. */
export interface Refusal {
  /** 0: it is done. */
  readonly errno: number;
  /** The kernel's own words, where it has any. */
  readonly text?: string;
  /** Where in the request the attribute begins that it is about, where the kernel says so. */
  readonly offset?: number;
}

/** `struct nlmsgerr` and the extended acknowledgement behind it. linux/netlink.h, Linux 4.12 */
export function decodeRefusal({ body, flags }: Message): Refusal {
  const capped = 0x100;
  const hasAttributes = 0x200;
  const textAttribute = 1;
  const offsetAttribute = 2;
  const errno = Math.abs(body.readInt32LE(0));
  if ((flags & hasAttributes) === 0) return { errno };
  // The request itself is repeated before the attributes, its header alone where that is all that was asked for.
  const request = (flags & capped) === 0 ? body.readUInt32LE(4) : headerSize;
  const attributes = decodeAttributes(body, 4 + aligned(request));
  const text = attributes.get(textAttribute);
  const offset = attributes.get(offsetAttribute);
  return {
    errno,
    ...(text !== undefined && { text: textOf(text) }),
    ...(offset !== undefined && { offset: offset.readUInt32LE() }),
  };
}

/** A text without the NUL at its end. */
export function textOf(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}

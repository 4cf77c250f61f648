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
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;

/** An attribute to send: a number is one of 32 bits, a text ends with a NUL, a list is of attributes within it. */
export type Attribute = readonly [type: number, value: number | string | Uint8Array | readonly Attribute[]];

/** What is asked of the kernel. */
export interface Request {
  readonly type: number;
  /** NLM_F_… besides those that every request has. */
  readonly flags?: number;
  /** The structure that the type begins with, a multiple of four bytes long. */
  readonly body: Uint8Array;
  readonly attributes?: readonly Attribute[];
}

/** One message of the kernel. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** What follows the header. */
  readonly body: Buffer;
}

/** A request as the kernel reads it; it is always to be acknowledged. */
export function encodeRequest(request: Request, sequence: number): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(headerSize), request.body, encodeAttributes(request.attributes ?? [])]);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(request.type, 4);
  bytes.writeUInt16LE((request.flags ?? 0) | NLM_F_REQUEST | NLM_F_ACK, 6);
  bytes.writeUInt32LE(sequence, 8);
  return bytes;
}

/** Attributes one after the other, as they stand behind a structure or within another attribute. */
export function encodeAttributes(attributes: readonly Attribute[]): Buffer {
  return Buffer.concat(attributes.map(encodeAttribute));
}

function encodeAttribute([type, value]: Attribute): Buffer {
  const nested = 0x8000;
  const bytes = typeof value === "string" ? Buffer.from(`${value}\0`) : bytesOf(value);
  const length = attributeHeaderSize + bytes.length;
  const encoded = Buffer.alloc(aligned(length));
  encoded.writeUInt16LE(length, 0);
  encoded.writeUInt16LE(isList(value) ? type | nested : type, 2);
  encoded.set(bytes, attributeHeaderSize);
  return encoded;
}

function isList(value: Attribute[1]): value is readonly Attribute[] {
  return Array.isArray(value);
}

function bytesOf(value: number | Uint8Array | readonly Attribute[]): Uint8Array {
  if (isList(value)) return encodeAttributes(value);
  if (typeof value !== "number") return value;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
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

/** The attributes from an offset of a body on, by their types; the last of each. */
export function decodeAttributes(body: Buffer, start: number): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  const typeMask = 0x3fff;
  let offset = start;
  while (offset + attributeHeaderSize <= body.length) {
    const length = body.readUInt16LE(offset);
    if (length < attributeHeaderSize || offset + length > body.length) break;
    const type = body.readUInt16LE(offset + 2) & typeMask;
    attributes.set(type, body.subarray(offset + attributeHeaderSize, offset + length));
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
}

/** `struct nlmsgerr` and the extended acknowledgement behind it. linux/netlink.h, Linux 4.12 */
export function decodeRefusal({ body, flags }: Message): Refusal {
  const capped = 0x100;
  const hasAttributes = 0x200;
  const textAttribute = 1;
  const errno = Math.abs(body.readInt32LE(0));
  if ((flags & hasAttributes) === 0) return { errno };
  // The request itself is repeated before the attributes, its header alone where that is all that was asked for.
  const request = (flags & capped) === 0 ? body.readUInt32LE(4) : headerSize;
  const text = decodeAttributes(body, 4 + aligned(request)).get(textAttribute);
  return text === undefined ? { errno } : { errno, text: textOf(text) };
}

/** A text without the NUL at its end. */
export function textOf(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}

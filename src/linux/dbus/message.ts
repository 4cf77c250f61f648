import { InvalidDocumentError } from "../../util/errors.ts";
import { type DbusValue, type DbusVariant, Marshaller } from "./marshal.ts";
import { Unmarshaller } from "./unmarshal.ts";

/** D-Bus Specification, "Message Types" */
export const messageTypes = { call: 1, reply: 2, error: 3, signal: 4 } as const;

/** A message; which of the fields it has depends on its type. D-Bus Specification, "Message Format" */
export interface DbusMessage {
  readonly type: number;
  readonly serial: number;
  readonly path?: string | undefined;
  readonly interface?: string | undefined;
  readonly member?: string | undefined;
  readonly errorName?: string | undefined;
  readonly replySerial?: number | undefined;
  readonly destination?: string | undefined;
  readonly sender?: string | undefined;
  readonly signature?: string | undefined;
  readonly body: readonly DbusValue[];
}

/** The number of each field and its type. */
const fields = {
  path: [1, "o"],
  interface: [2, "s"],
  member: [3, "s"],
  errorName: [4, "s"],
  replySerial: [5, "u"],
  destination: [6, "s"],
  sender: [7, "s"],
  signature: [8, "g"],
} as const;

type FieldName = keyof typeof fields;

const fixedHeader = 16;
/** The specification's limit of a message. */
const longest = 128 * 1024 * 1024;
const little = "l".charCodeAt(0);
const big = "B".charCodeAt(0);

/** A message as bytes. Throws TypeError when the body does not fit the signature. */
export function encodeMessage(message: DbusMessage): Uint8Array {
  const body = new Marshaller().write(message.signature ?? "", message.body).bytes();
  const given: [number, DbusVariant][] = [];
  for (const [name, [code, signature]] of Object.entries(fields)) {
    const value = message[name as FieldName];
    if (value !== undefined && value !== "") given.push([code, { signature, value }]);
  }
  const header = new Marshaller()
    .write("yyyyuua(yv)", [little, message.type, 0, 1, body.length, message.serial, given])
    .align(8)
    .bytes();
  return Buffer.concat([header, body]);
}

/**
 * How many bytes the message has that begins here; undefined when that cannot be told yet.
 * @throws InvalidDocumentError this is not the beginning of a message
 */
export function messageLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < fixedHeader) return undefined;
  const isLittle = isLittleEndian(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fieldsLength = view.getUint32(12, isLittle);
  const length = fixedHeader + Math.ceil(fieldsLength / 8) * 8 + view.getUint32(4, isLittle);
  if (length > longest) throw new InvalidDocumentError(`a message of D-Bus's claims to have ${length} bytes`);
  return length;
}

/** @param bytes one whole message. @throws InvalidDocumentError they are none */
export function decodeMessage(bytes: Uint8Array): DbusMessage {
  const isLittle = isLittleEndian(bytes);
  const reader = new Unmarshaller(bytes, 0, isLittle);
  const [, type, , , , serial, given] = reader.read("yyyyuua(yv)") as [
    number,
    number,
    number,
    number,
    number,
    number,
    [number, DbusVariant][],
  ];
  const found: Partial<Record<FieldName, DbusValue>> = {};
  for (const [code, { signature, value }] of given) {
    const known = Object.entries(fields).find(([, [number]]) => number === code);
    // Fields that later versions of the protocol have are to be ignored.
    if (known !== undefined && known[1][1] === signature) found[known[0] as FieldName] = value;
  }
  reader.align(8);
  const body = reader.read((found.signature as string | undefined) ?? "");
  return { ...(found as Partial<DbusMessage>), type, serial, body };
}

function isLittleEndian(bytes: Uint8Array): boolean {
  if ((bytes[0] !== little && bytes[0] !== big) || bytes[3] !== 1) {
    throw new InvalidDocumentError("what came over D-Bus is not a message of version 1");
  }
  return bytes[0] === little;
}

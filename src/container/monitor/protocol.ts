import { InvalidDocumentError } from "../../util/errors.ts";

/**
 * What a monitor and those who are connected to it say to each other: messages of a type (one byte), a length (32 bits,
 * little-endian) and so many bytes. Both are gocker, of the same user, though maybe of different versions.
 */
export const messageType = {
  /** To the monitor, first of all: JSON, a {@link Greeting}. */
  greeting: 1,
  /** To the monitor: bytes for the container's standard input or terminal. */
  input: 2,
  /** To the monitor: there is no more input. */
  inputEnd: 3,
  /** To the monitor: lines and columns of a terminal, 16 bits each. */
  size: 4,
  /** From the monitor. */
  stdout: 17,
  stderr: 18,
  /** From the monitor, last of all: JSON, a {@link Ending}. */
  ending: 19,
} as const;

/** What somebody who connects wants. */
export interface Greeting {
  /** To have what the container writes. */
  readonly output: boolean;
  /** To give it input. */
  readonly input: boolean;
  /** Not to start the container again that has ended; who was told so may count on it once the connection is closed. */
  readonly stop?: boolean;
  /** To have the container's networks looked at again, as they have changed: once that is done the connection is closed. */
  readonly networks?: boolean;
}

/** How the container has ended. */
export interface Ending {
  readonly exitCode: number;
}

export type MessageType = (typeof messageType)[keyof typeof messageType];

const headerSize = 5;

/** More than any message of gocker's is long. */
const mostBytes = 16 * 1024 * 1024;

/** What goes over the wire before a body of so many bytes. */
export function encodeHeader(type: MessageType, length: number): Uint8Array {
  const bytes = new Uint8Array(headerSize);
  bytes[0] = type;
  new DataView(bytes.buffer).setUint32(1, length, true);
  return bytes;
}

/** A message as it goes over the wire. */
export function encodeMessage(type: MessageType, body: Uint8Array = new Uint8Array()): Uint8Array {
  const bytes = new Uint8Array(headerSize + body.length);
  bytes.set(encodeHeader(type, body.length));
  bytes.set(body, headerSize);
  return bytes;
}

/** A message with a document. */
export function encodeDocument(type: MessageType, document: Greeting | Ending): Uint8Array {
  return encodeMessage(type, new TextEncoder().encode(JSON.stringify(document)));
}

/** The size of a terminal as a message. */
export function encodeSize({ height, width }: { readonly height: number; readonly width: number }): Uint8Array {
  return encodeMessage(messageType.size, new Uint8Array(new Uint16Array([height, width]).buffer));
}

/** The size of a terminal that a message holds; undefined when it holds none. */
export function decodeSize(body: Uint8Array): { readonly height: number; readonly width: number } | undefined {
  if (body.length !== 4) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  return { height: view.getUint16(0, true), width: view.getUint16(2, true) };
}

/** The document in a message. @throws InvalidDocumentError */
export function decodeDocument(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch (error) {
    throw new InvalidDocumentError("a message of the container's monitor is no JSON document", { cause: error });
  }
}

/** Takes messages out of a stream of bytes, however that is cut. */
export class MessageReader {
  #unread = Buffer.alloc(0);

  /**
   * @returns the messages that are whole by now
   * @throws InvalidDocumentError this is no such stream
   */
  add(bytes: Uint8Array): { readonly type: number; readonly body: Uint8Array }[] {
    this.#unread = this.#unread.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#unread, bytes]);
    const messages: { type: number; body: Uint8Array }[] = [];
    let offset = 0;
    while (this.#unread.length - offset >= headerSize) {
      const length = this.#unread.readUInt32LE(offset + 1);
      if (length > mostBytes) throw new InvalidDocumentError("a message to or of the container's monitor is too long");
      if (this.#unread.length - offset - headerSize < length) break;
      const begin = offset + headerSize;
      messages.push({ type: this.#unread[offset] as number, body: this.#unread.subarray(begin, begin + length) });
      offset = begin + length;
    }
    this.#unread = this.#unread.subarray(offset);
    return messages;
  }
}

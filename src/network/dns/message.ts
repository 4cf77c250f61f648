import { decodeName, nameEnd } from "./name.ts";

// Messages of the domain system. RFC 1035 4, RFC 6891 (EDNS)

/** Of records, and of what is asked for. RFC 1035 3.2.2, 3.2.3; RFC 3596; RFC 6891; RFC 5936 */
export const recordType = { A: 1, PTR: 12, AAAA: 28, OPT: 41, IXFR: 251, AXFR: 252, ANY: 255 } as const;

export const classInternet = 1;

/** How a query went. RFC 1035 4.1.1; RFC 6891 9 */
export const responseCode = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  notImplemented: 4,
  refused: 5,
  badVersion: 16,
} as const;

/** Bits of the header's second word. RFC 1035 4.1.1, RFC 4035 3.2.2 */
export const headerFlag = {
  response: 0x8000,
  operation: 0x7800,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
  checkingDisabled: 0x0010,
  code: 0x000f,
} as const;

export const headerSize = 12;

/** What fits into a datagram for who does not say more. RFC 1035 2.3.4 */
export const usualDatagram = 512;

/** What a query says in its OPT record. RFC 6891 6.1.3 */
export interface Extension {
  /** How large a datagram the answer may be. */
  readonly datagram: number;
  readonly version: number;
  /** Wants signatures, too: the only flag there is, which answers repeat. RFC 3225 */
  readonly wantsSignatures: boolean;
}

/** A query for one name. */
export interface Query {
  /** As it came. */
  readonly bytes: Uint8Array;
  /** In lower case, without the final dot: see {@link decodeName}. */
  readonly name: string;
  readonly type: number;
  /** Where the question ends. */
  readonly questionEnd: number;
  readonly extension: Extension | undefined;
}

/** A query that gets no other answer than a response code. */
export interface RefusedQuery {
  readonly bytes: Uint8Array;
  readonly code: number;
  /** Where the question ends that the answer repeats; {@link headerSize} for none. */
  readonly questionEnd: number;
  readonly extension?: undefined;
}

/**
 * Reads a query, whatever it may be.
 * @returns undefined for what must not be answered at all: something without a header, or an answer
 */
export function decodeQuery(bytes: Uint8Array): Query | RefusedQuery | undefined {
  if (bytes.length < headerSize) return undefined;
  const flags = wordAt(bytes, 2);
  if ((flags & headerFlag.response) !== 0) return undefined;
  const refuse = (code: number, questionEnd: number = headerSize) => ({ bytes, code, questionEnd });
  if ((flags & headerFlag.operation) !== 0) return refuse(responseCode.notImplemented);
  const end = findQuestionEnd(bytes);
  if (end === undefined) return refuse(responseCode.formatError);
  const extension = findExtension(bytes, end);
  if (extension === "malformed") return refuse(responseCode.formatError, end);
  const type = wordAt(bytes, end - 4);
  // A zone as a whole is many messages, and no host's server gives it to everybody.
  const isRefused = wordAt(bytes, end - 2) !== classInternet || type === recordType.AXFR || type === recordType.IXFR;
  if (isRefused) return refuse(responseCode.refused, end);
  return { bytes, name: decodeName(bytes, headerSize), type, questionEnd: end, extension };
}

/** Where the only question of a message ends; undefined when there is none, or more than one. RFC 9619 */
function findQuestionEnd(bytes: Uint8Array): number | undefined {
  if (wordAt(bytes, 4) !== 1) return undefined;
  const end = nameEnd(bytes, headerSize, false);
  return end !== undefined && end + 4 <= bytes.length ? end + 4 : undefined;
}

/** Goes over the records behind the question. */
function findExtension(bytes: Uint8Array, questionEndsAt: number): Extension | "malformed" | undefined {
  const others = wordAt(bytes, 6) + wordAt(bytes, 8);
  const all = others + wordAt(bytes, 10);
  let found: Extension | undefined;
  let at = questionEndsAt;
  for (let index = 0; index < all; index++) {
    const name = nameEnd(bytes, at, true);
    if (name === undefined || name + 10 > bytes.length) return "malformed";
    const end = name + 10 + wordAt(bytes, name + 8);
    if (end > bytes.length) return "malformed";
    if (wordAt(bytes, name) === recordType.OPT) {
      // There is one at most, which belongs to the root and stands at the end. RFC 6891 6.1.1
      if (found !== undefined || index < others || bytes[at] !== 0) return "malformed";
      found = {
        datagram: wordAt(bytes, name + 2),
        version: bytes[name + 5] as number,
        wantsSignatures: ((bytes[name + 6] as number) & 0x80) !== 0,
      };
    }
    at = end;
  }
  return found;
}

/** What came from a server that was asked. */
export type Response =
  /** An answer to be given to who has asked; it may say that something cannot be or is not there. */
  | "answer"
  /** The server cannot answer or does not want to: another one may. */
  | "failure"
  /** Something else than the answer to this. */
  | "stranger";

/**
 * Whether a message is the answer to a query: with its number and its question.
 * @param asked the query as it was sent
 */
export function judgeResponse(message: Uint8Array, asked: Uint8Array, questionEndsAt: number): Response {
  if (message.length < headerSize || wordAt(message, 0) !== wordAt(asked, 0)) return "stranger";
  const flags = wordAt(message, 2);
  if ((flags & (headerFlag.response | headerFlag.operation)) !== headerFlag.response) return "stranger";
  const code = flags & headerFlag.code;
  // Who does not understand a question may leave it out, but cannot give an answer then.
  const isBare = wordAt(message, 4) === 0 && wordAt(message, 6) === 0 && code !== responseCode.noError;
  if (!isBare && !hasQuestion(message, asked, questionEndsAt)) return "stranger";
  return code === responseCode.serverFailure || code === responseCode.refused ? "failure" : "answer";
}

/** Whether a message repeats the question; the name in any case of letters. RFC 1035 2.3.3, RFC 5452 4.2 */
function hasQuestion(message: Uint8Array, asked: Uint8Array, end: number): boolean {
  if (wordAt(message, 4) !== 1 || message.length < end) return false;
  for (let at = headerSize; at < end; at++) {
    const [one, other] = [message[at] as number, asked[at] as number];
    // Lengths are no letters, and what stands behind the name is none either.
    if (one !== other && (at >= end - 4 || lowerCase(one) !== lowerCase(other))) return false;
  }
  return true;
}

function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}

/** A number of two bytes. */
export function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

/** Puts it there. */
export function setWordAt(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 0xff;
}

import {
  classInternet,
  headerFlag,
  headerSize,
  type Query,
  recordType,
  type RefusedQuery,
  responseCode,
  setWordAt,
  usualDatagram,
  wordAt,
} from "./message.ts";

/** One of the records that answer a query: it belongs to the name that was asked for. */
export interface AnswerRecord {
  readonly type: number;
  readonly data: Uint8Array;
}

/** What is answered. */
export interface Answer {
  readonly code: number;
  readonly records: readonly AnswerRecord[];
  /** Seconds for which the records may be believed. */
  readonly lifetime: number;
}

/** The largest message over TCP, whose length is two bytes. RFC 1035 4.2.2 */
export const longestMessage = 0xffff;

/** How large the datagrams may be that the server takes, as its own answers say. */
export const longestQuery = 4096;

/** An OPT record without options. */
const extensionSize = 11;

/** A record's name, as the place of the question's; type, class, lifetime and length of its data. */
const recordHeaderSize = 12;

/** How large the answer may be for who has asked over UDP. RFC 6891 6.2.3 */
export function datagramLimit({ extension }: Query): number {
  return Math.max(usualDatagram, extension?.datagram ?? 0);
}

/**
 * The answer to a query. What does not fit is left out, which the answer says: it can be had over TCP.
 * @param limit of its bytes
 */
export function encodeAnswer(query: Query, { code, records, lifetime }: Answer, limit: number): Uint8Array {
  const { extension } = query;
  if (extension !== undefined && extension.version > 0) return refusal(query, responseCode.badVersion);
  const room = limit - query.questionEnd - (extension === undefined ? 0 : extensionSize);
  let [count, size] = [0, 0];
  for (const { data } of records) {
    const next = size + recordHeaderSize + data.length;
    if (next > room) break;
    [count, size] = [count + 1, next];
  }
  const bytes = begin(query, code, size);
  if (count < records.length) setWordAt(bytes, 2, wordAt(bytes, 2) | headerFlag.truncated);
  setWordAt(bytes, 6, count);
  let at = query.questionEnd;
  for (const { type, data } of records.slice(0, count)) {
    setWordAt(bytes, at, 0xc000 | headerSize);
    setWordAt(bytes, at + 2, type);
    setWordAt(bytes, at + 4, classInternet);
    setWordAt(bytes, at + 6, lifetime >>> 16);
    setWordAt(bytes, at + 8, lifetime & 0xffff);
    setWordAt(bytes, at + 10, data.length);
    bytes.set(data, at + recordHeaderSize);
    at += recordHeaderSize + data.length;
  }
  return bytes;
}

/** An answer that consists of a response code. */
export function refusal(query: Query | RefusedQuery, code: number): Uint8Array {
  return begin(query, code, 0);
}

/**
 * What an answer is when it is too large for a datagram: nothing but that, so that it is asked for over TCP.
 * RFC 1035 4.2.1, RFC 2181 9
 * @param answer which repeats the query's question
 */
export function truncatedAnswer(query: Query, answer: Uint8Array): Uint8Array {
  const bytes = begin(query, 0, 0);
  setWordAt(bytes, 2, wordAt(answer, 2) | headerFlag.truncated);
  return bytes;
}

/** The header, the question, room for records, and the extension of who has one. */
function begin(query: Query | RefusedQuery, code: number, room: number): Uint8Array {
  const { bytes: asked, questionEnd, extension } = query;
  const extensionAt = questionEnd + room;
  const bytes = new Uint8Array(extensionAt + (extension === undefined ? 0 : extensionSize));
  bytes.set(asked.subarray(0, questionEnd));
  const { response, operation, recursionDesired, recursionAvailable, checkingDisabled } = headerFlag;
  const kept = wordAt(asked, 2) & (operation | recursionDesired | checkingDisabled);
  setWordAt(bytes, 2, response | recursionAvailable | kept | (code & headerFlag.code));
  setWordAt(bytes, 4, questionEnd > headerSize ? 1 : 0);
  bytes.fill(0, 6, headerSize);
  if (extension === undefined) return bytes;
  setWordAt(bytes, 10, 1);
  setWordAt(bytes, extensionAt + 1, recordType.OPT);
  setWordAt(bytes, extensionAt + 3, longestQuery);
  bytes[extensionAt + 5] = code >> 4;
  bytes[extensionAt + 7] = extension.wantsSignatures ? 0x80 : 0;
  return bytes;
}

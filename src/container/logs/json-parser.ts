import { type LogRecord, type RecordFacts, type RecordParser, standsAt } from "./log-record.ts";
import type { LogStream } from "./log-writer.ts";

const decoder = new TextDecoder();
const encoder = new TextEncoder();
const head = encoder.encode('{"log":"');
const none: LogRecord["attributes"] = {};

const [backslash, quote, space] = [0x5c, 0x22, 0x20];
const letterU = 0x75;
/** What one letter behind a backslash stands for. */
const escaped = new Uint8Array(256);
for (const [letter, character] of Object.entries({ n: "\n", r: "\r", t: "\t", '"': '"', "\\": "\\", "/": "/" })) {
  escaped[letter.charCodeAt(0)] = character.charCodeAt(0);
}

/** Texts are put together here; a record of gocker's or Docker's has no longer one. */
const longestText = 64 * 1024;

/**
 * Reads records of json-file, gocker's or Docker's: see `JsonEncoder`. Records that follow each other differ in their
 * texts and in little else: what stands behind the text is only read when it is another one than before. That takes a
 * third of the time of a `JSON.parse` for each, and a reader that follows must keep up with the writer.
 */
export function jsonRecordParser(): RecordParser {
  const text = new Uint8Array(longestText);
  let tail: Uint8Array = new Uint8Array(0);
  let facts: RecordFacts | undefined;
  return (bytes, start, end) => {
    const fast = standsAt(bytes, start, head) ? readText(bytes, start + head.length, end, text) : undefined;
    if (fast === undefined) return parseWhole(bytes.subarray(start, end));
    const { at, length } = fast;
    if (facts === undefined || end - at !== tail.length || !standsAt(bytes, at, tail)) {
      tail = bytes.slice(at, end);
      facts = factsOf(tail);
      if (facts === undefined) return parseWhole(bytes.subarray(start, end));
    }
    const { stream, time, attributes } = facts;
    return { stream, time, attributes, text: text.slice(0, length) };
  };
}

/**
 * Reads the text from behind its quote into `target`.
 * @returns where its closing quote stands, and its length; undefined when it needs a closer look, or is none
 */
function readText(
  bytes: Uint8Array,
  from: number,
  end: number,
  target: Uint8Array,
): { readonly at: number; readonly length: number } | undefined {
  if (end - from > target.length) return undefined;
  let length = 0;
  for (let at = from; at < end; at++) {
    let byte = bytes[at] as number;
    if (byte === quote) return { at, length };
    if (byte < space) return undefined;
    if (byte === backslash) {
      byte = bytes[++at] as number;
      // `\u001b` and the like: of what is below U+0080 a byte comes.
      const value = byte === letterU ? asciiOf(bytes, at + 1) : escaped[byte];
      if (value === undefined || (value === 0 && byte !== letterU)) return undefined;
      if (byte === letterU) at += 4;
      byte = value;
    }
    target[length++] = byte;
  }
  return undefined;
}

/** The character of four hexadecimal digits; undefined when it is none of ASCII. */
function asciiOf(bytes: Uint8Array, at: number): number | undefined {
  const zero = 0x30;
  if (bytes[at] !== zero || bytes[at + 1] !== zero) return undefined;
  const value = digitOf(bytes[at + 2] as number) * 16 + digitOf(bytes[at + 3] as number);
  return value < 0x80 ? value : undefined;
}

/** What a hexadecimal digit stands for; more than any when it is none. */
function digitOf(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : 0x100;
}

/** What a record says behind its text. @param tail from the closing quote of the text on */
function factsOf(tail: Uint8Array): RecordFacts | undefined {
  const record = parseWhole(Buffer.concat([head, tail]));
  // One that is not empty was named once more.
  if (record === undefined || record.text.length > 0) return undefined;
  const { stream, time, attributes } = record;
  return { stream, time, attributes };
}

interface JsonRecord {
  readonly log: string;
  readonly stream: LogStream;
  readonly time: string;
  readonly attrs?: Readonly<Record<string, string>>;
}

function parseWhole(bytes: Uint8Array): LogRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytes));
  } catch {
    // What is no JSON document is no record either.
    return undefined;
  }
  if (!isJsonRecord(value)) return undefined;
  return { stream: value.stream, time: value.time, text: encoder.encode(value.log), attributes: value.attrs ?? none };
}

function isJsonRecord(value: unknown): value is JsonRecord {
  if (typeof value !== "object" || value === null) return false;
  const { log, stream, time, attrs } = value as Partial<Record<keyof JsonRecord, unknown>>;
  return (
    typeof log === "string" &&
    (stream === "stdout" || stream === "stderr") &&
    typeof time === "string" &&
    (attrs === undefined || (typeof attrs === "object" && attrs !== null))
  );
}

import type { LogStream } from "./log-writer.ts";

/** A line of a container's output, or a piece of a long one, as its log has it. */
export interface LogRecord {
  readonly stream: LogStream;
  /** As it was written: RFC 3339. All pieces of a line have the same. */
  readonly time: string;
  /** With its newline, which a piece that does not end its line has not. */
  readonly text: Uint8Array;
  /** What the log's options had it say of the container. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** Reads a record, without the newline of the file. Undefined when it is none: damaged, or not whole. */
export type RecordParser = (bytes: Uint8Array) => LogRecord | undefined;

const newline = 0x0a;

/** Whether the line ends with this record. */
export function endsLine({ text }: LogRecord): boolean {
  return text[text.length - 1] === newline;
}

const none: LogRecord["attributes"] = {};
const decoder = new TextDecoder();
const encoder = new TextEncoder();

interface JsonRecord {
  readonly log: string;
  readonly stream: LogStream;
  readonly time: string;
  readonly attrs?: Readonly<Record<string, string>>;
}

/** Reads a record of json-file, gocker's or Docker's: see `JsonEncoder`. */
export function parseJsonRecord(bytes: Uint8Array): LogRecord | undefined {
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

const space = 0x20;
const [full, partial] = [0x46, 0x50];

/** Reads a record of local: see `CriEncoder`. */
export function parseCriRecord(bytes: Uint8Array): LogRecord | undefined {
  const afterTime = bytes.indexOf(space);
  const afterStream = bytes.indexOf(space, afterTime + 1);
  const tag = bytes[afterStream + 1];
  if (afterTime < 1 || afterStream < 0 || bytes[afterStream + 2] !== space) return undefined;
  if (tag !== full && tag !== partial) return undefined;
  const stream = decoder.decode(bytes.subarray(afterTime + 1, afterStream));
  if (stream !== "stdout" && stream !== "stderr") return undefined;
  const from = afterStream + 3;
  const text = new Uint8Array(bytes.length - from + (tag === full ? 1 : 0)).fill(newline);
  text.set(bytes.subarray(from));
  return { stream, time: decoder.decode(bytes.subarray(0, afterTime)), text, attributes: none };
}

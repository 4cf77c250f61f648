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

/** Reads a record: bytes `start` to `end`, without the newline of the file. Undefined when it is none: damaged, or not whole. */
export type RecordParser = (bytes: Uint8Array, start: number, end: number) => LogRecord | undefined;

/** What a record has beside its text: many have the same. */
export type RecordFacts = Omit<LogRecord, "text">;

const newline = 0x0a;

/** Whether the line ends with this record. */
export function endsLine({ text }: LogRecord): boolean {
  return text[text.length - 1] === newline;
}

/** Whether the bytes of `part` stand at `at`. */
export function standsAt(bytes: Uint8Array, at: number, part: Uint8Array): boolean {
  // The ends differ most often: times are there.
  for (let index = part.length - 1; index >= 0; index--) if (bytes[at + index] !== part[index]) return false;
  return true;
}

import { fstatSync, readSync } from "node:fs";
import { compressedRecords } from "./log-file-reader.ts";
import type { LogFile } from "./log-files.ts";
import { endsLine, type LogRecord, type RecordParser } from "./log-record.ts";
import type { LogStream } from "./log-writer.ts";
import { longestRecord } from "./record-stream.ts";

/** Where to begin reading a log. */
export interface LogStart {
  /** Of the first file to be read; the number of files when there is nothing to read. */
  readonly file: number;
  /** Of the first record in that one, in bytes; 0 for a compressed one. */
  readonly position: number;
  /** How many lines to leave out before that; only for a compressed one. */
  readonly lines: number;
}

/** All of it. */
export const wholeLog: LogStart = { file: 0, position: 0, lines: 0 };

/**
 * Where the last `count` lines begin. A line that was cut into pieces is one line. Files are read from their ends on, no
 * further than needed; compressed ones have to be read as a whole.
 * @param files the oldest first
 * @throws InvalidDocumentError a compressed file is damaged; what node:fs throws
 */
export async function findTail(files: readonly LogFile[], count: number, parse: RecordParser): Promise<LogStart> {
  const counter = new LineCounter(count);
  for (let index = files.length - 1; index >= 0; index--) {
    const file = files[index] as LogFile;
    if (file.isCompressed) {
      const lines = await countLines(file, parse);
      if (lines >= counter.missing) return { file: index, position: 0, lines: lines - counter.missing };
      counter.missing -= lines;
    } else {
      const position = findBackwards(file, parse, counter);
      if (position !== undefined) return { file: index, position, lines: 0 };
    }
  }
  return wholeLog;
}

async function countLines(file: LogFile, parse: RecordParser): Promise<number> {
  let lines = 0;
  for await (const records of compressedRecords(file, parse)) {
    for (const record of records) if (endsLine(record)) lines++;
  }
  return lines;
}

/** Counts lines from the last one on. */
class LineCounter {
  missing: number;
  /** Those of which something came. */
  readonly #streams = new Set<LogStream>();

  constructor(wanted: number) {
    this.missing = wanted;
  }

  /** Whether the record, which stands before all that were given, is one of those wanted. */
  takes(record: LogRecord): boolean {
    const isContinued = !endsLine(record) && this.#streams.has(record.stream);
    if (!isContinued) {
      if (this.missing === 0) return false;
      this.missing--;
    }
    this.#streams.add(record.stream);
    return true;
  }
}

/** @returns where the first record that is wanted begins; undefined when it may be in an older file */
function findBackwards(file: LogFile, parse: RecordParser, counter: LineCounter): number | undefined {
  for (const { bytes, end } of recordsBackwards(file.fd)) {
    const record = parse(bytes, 0, bytes.length);
    if (record !== undefined && !counter.takes(record)) return end;
  }
  return undefined;
}

const newline = 0x0a;
const blockSize = 64 * 1024;

/** The lines of a file that end in a newline, from the last one on, and where each ends. */
function* recordsBackwards(fd: number): Generator<{ readonly bytes: Uint8Array; readonly end: number }> {
  /** The beginning of what was read last: the end of a line that begins further up. */
  let rest: Uint8Array = new Uint8Array(0);
  const { size } = fstatSync(fd);
  /** The line that ends where the search has come has its end, and none that is too long. */
  let isWhole = endsInNewline(fd, size);
  for (let top = size; top > 0;) {
    const start = Math.max(0, top - blockSize);
    const block = new Uint8Array(top - start + rest.length);
    // What was there is still there, as the writer only appends; where somebody has cut it, it reads as zeros.
    readSync(fd, block, 0, top - start, start);
    block.set(rest, top - start);
    let end = block.length;
    for (let found = lastNewline(block, end); found >= 0; found = lastNewline(block, end)) {
      if (isWhole) yield { bytes: block.subarray(found + 1, end - 1), end: start + end };
      isWhole = true;
      end = found + 1;
    }
    rest = block.subarray(0, end);
    if (rest.length > longestRecord) {
      isWhole = false;
      rest = rest.slice(-1);
    }
    top = start;
  }
  if (isWhole) yield { bytes: rest.subarray(0, -1), end: rest.length };
}

function endsInNewline(fd: number, size: number): boolean {
  const last = new Uint8Array(1);
  return size > 0 && readSync(fd, last, 0, 1, size - 1) === 1 && last[0] === newline;
}

/** The last newline before the one that ends the line. */
function lastNewline(block: Uint8Array, end: number): number {
  return end < 2 ? -1 : block.lastIndexOf(newline, end - 2);
}

import { GrowingFileReader, recordsAfterLines } from "./log-file-reader.ts";
import { countMissing, heldBytes, type LogFile, openFilesAfter, openLogFiles } from "./log-files.ts";
import type { LogRecord, RecordParser } from "./log-record.ts";
import { findTail, wholeLog } from "./log-tail.ts";

/** Where a driver's log is, and what it looks like. */
export interface LogForm {
  readonly path: string;
  /** The greatest number of a rotated file. */
  readonly maximum: number;
  readonly parse: RecordParser;
}

/**
 * How much a reader that is slower than the log may keep on the disk by having it open, although the log has no room for
 * it any more: a flood of some seconds has room in that, and nobody looks for such a file when the disk is full.
 */
const mostHeld = { bytes: 64 * 1024 * 1024, files: 256 };

export interface LogReadingOptions {
  /** What comes while the log is read is wanted too. */
  readonly isFollowed: boolean;
  /** Told when files were removed before they were opened: how many. */
  readonly onMissing: (files: number) => void;
}

/** How far a log was read. */
export class LogReading implements Disposable {
  readonly #form: LogForm;
  readonly #options: LogReadingOptions;
  /** The newest file that was begun, and its reader when it may grow. */
  #last: LogFile | undefined;
  #reader: GrowingFileReader | undefined;
  /** Newer files, the oldest first. */
  #waiting: LogFile[] = [];

  constructor(form: LogForm, options: LogReadingOptions) {
    this.#form = form;
    this.#options = options;
  }

  /** What is there, from the beginning or from the last lines on. */
  async *files(tail: number | undefined): AsyncGenerator<readonly LogRecord[]> {
    const { path, maximum, parse } = this.#form;
    this.#waiting = openLogFiles(path, maximum);
    const start = tail === undefined ? wholeLog : await findTail(this.#waiting, tail, parse);
    for (const file of this.#waiting.splice(0, start.file)) file[Symbol.dispose]();
    yield* this.#next(start.position, start.lines);
    while (this.#waiting.length > 0) yield* this.#next(0, 0);
  }

  /** What has come meanwhile. */
  async *more(): AsyncGenerator<readonly LogRecord[]> {
    for (;;) {
      yield* this.#read(this.#reader?.records() ?? []);
      this.#look();
      if (this.#waiting.length === 0) break;
      // What was written between the look into it and its being put aside.
      yield* this.#read(this.#reader?.records() ?? []);
      yield* this.#next(0, 0);
    }
    if (this.#reader?.restartIfCut() === true) yield* this.#read(this.#reader.records());
  }

  async *#next(position: number, lines: number): AsyncGenerator<readonly LogRecord[]> {
    const file = this.#waiting.shift();
    if (file === undefined) return;
    const missing = this.#last === undefined ? 0 : countMissing(this.#last, file);
    this.#last?.[Symbol.dispose]();
    this.#last = file;
    if (missing > 0) this.#options.onMissing(missing);
    const { parse } = this.#form;
    this.#reader = file.isCompressed ? undefined : new GrowingFileReader(file, parse, position);
    yield* this.#read(this.#reader?.records() ?? recordsAfterLines(file, parse, lines));
  }

  /** Looks for new files between the parts: in the time that one file takes to be read several may come and go. */
  async *#read(
    parts: Iterable<readonly LogRecord[]> | AsyncIterable<readonly LogRecord[]>,
  ): AsyncGenerator<readonly LogRecord[]> {
    for await (const part of parts) {
      yield part;
      if (this.#options.isFollowed) this.#look();
    }
  }

  /** Opens what has come after the newest file that is known, and so keeps it, whatever becomes of its name. */
  #look(): void {
    const newest = this.#waiting.at(-1) ?? this.#last;
    const { path, maximum } = this.#form;
    if (newest === undefined) this.#waiting = openLogFiles(path, maximum);
    else if (this.#mayHoldMore()) this.#waiting.push(...openFilesAfter(newest, path, maximum));
  }

  #mayHoldMore(): boolean {
    const { length } = this.#waiting;
    if (length === 0) return true;
    return length < mostHeld.files && this.#waiting.reduce((sum, file) => sum + heldBytes(file), 0) < mostHeld.bytes;
  }

  [Symbol.dispose](): void {
    this.#last?.[Symbol.dispose]();
    for (const file of this.#waiting) file[Symbol.dispose]();
  }
}

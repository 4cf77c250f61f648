import { dirname } from "node:path";
import { UsageError } from "../../util/errors.ts";
import { type Instant, instantOf, parseDate } from "../../util/instant.ts";
import type { LogConfiguration } from "../record.ts";
import { ChangeWatch } from "./change-watch.ts";
import { GrowingFileReader, recordsAfterLines } from "./log-file-reader.ts";
import { type LogFile, openFilesAfter, openLogFiles } from "./log-files.ts";
import { rotationOf } from "./log-options.ts";
import { logPath } from "./log-path.ts";
import { type LogRecord, parseCriRecord, parseJsonRecord, type RecordParser } from "./log-record.ts";
import { usualLog } from "./usual-log.ts";
import { findTail, wholeLog } from "./log-tail.ts";

export interface ReadLogOptions {
  /** Nothing that is older. */
  readonly since?: Instant | undefined;
  /** Nothing that is newer: the first line that is ends the reading. */
  readonly until?: Instant | undefined;
  /** So many lines from the end, of which `since` and `until` may leave out some. */
  readonly tail?: number | undefined;
  /**
   * Wait for more, until this says that the container has ended, and all that is there by then was read; or until the time
   * of `until`.
   */
  readonly follow?: AbortSignal | undefined;
}

/** Where a driver's log is, and what it looks like. */
interface LogForm {
  readonly path: string;
  /** The greatest number of a rotated file. */
  readonly maximum: number;
  readonly parse: RecordParser;
}

/**
 * Reads a container's log, over all of its files and in the order in which it was written. What is damaged, or was torn
 * off, is left out. The container may run, and its log be rotated meanwhile.
 * @param directory the container's
 * @returns the records, as many at once as are there at once
 * @throws UsageError the driver keeps nothing that can be read; InvalidDocumentError a compressed file is damaged; what
 *   node:fs throws
 */
export async function* readLog(
  directory: string,
  configuration: LogConfiguration | undefined,
  options: ReadLogOptions = {},
): AsyncGenerator<readonly LogRecord[]> {
  const form = formOf(directory, configuration ?? usualLog);
  using reading = new LogReading(form);
  // Before the first look, so that nothing comes between that and the waiting.
  using watch = options.follow === undefined ? undefined : new ChangeWatch(dirname(form.path));
  const bounds = new TimeBounds(options);
  const pass = async function* (parts: AsyncIterable<readonly LogRecord[]> | Iterable<readonly LogRecord[]>) {
    for await (const part of parts) {
      const records = bounds.take(part);
      if (records.length > 0) yield records;
      if (bounds.isOver) return;
    }
  };

  yield* pass(reading.files(options.tail));
  if (options.follow === undefined || watch === undefined) return;
  while (!bounds.isOver) {
    // Asked before the look: what was written before the end is there now.
    const hasEnded = options.follow.aborted || bounds.isPast();
    watch.reset();
    yield* pass(reading.more());
    if (hasEnded) return;
    await watch.wait(options.follow, bounds.rest());
  }
}

function formOf(directory: string, configuration: LogConfiguration): LogForm {
  const { driver } = configuration;
  if (driver === "none" || driver === "journald") {
    throw new UsageError(`the container's log driver is ${driver}: there is no log that gocker could read`, {
      hint: driver === "journald" ? "journalctl shows what went there" : "choose json-file or local for the next one",
    });
  }
  return {
    path: logPath(directory, driver),
    maximum: rotationOf(configuration).maximumFiles - 1,
    parse: driver === "local" ? parseCriRecord : parseJsonRecord,
  };
}

/** How far a log was read. */
class LogReading implements Disposable {
  readonly #form: LogForm;
  /** The newest file that was begun, and its reader when it may grow. */
  #last: LogFile | undefined;
  #reader: GrowingFileReader | undefined;
  /** Newer files, the oldest first. */
  #waiting: LogFile[] = [];

  constructor(form: LogForm) {
    this.#form = form;
  }

  /** What is there, from the beginning or from the last lines on. */
  async *files(tail: number | undefined): AsyncGenerator<readonly LogRecord[]> {
    const { path, maximum, parse } = this.#form;
    this.#waiting = openLogFiles(path, maximum);
    const start = tail === undefined ? wholeLog : await findTail(this.#waiting, tail, parse);
    for (const file of this.#waiting.splice(0, start.file)) file[Symbol.dispose]();
    yield* this.#next(start.position, start.lines);
    yield* this.#rest();
  }

  /** What has come meanwhile. */
  async *more(): AsyncGenerator<readonly LogRecord[]> {
    yield* this.#reader?.records() ?? [];
    const { path, maximum } = this.#form;
    const last = this.#last;
    this.#waiting = last === undefined ? openLogFiles(path, maximum) : openFilesAfter(last, path, maximum);
    if (this.#waiting.length > 0) {
      // What was written between the look into it and its being put aside.
      yield* this.#reader?.records() ?? [];
      yield* this.#rest();
    } else if (this.#reader?.restartIfCut() === true) {
      yield* this.#reader.records();
    }
  }

  async *#rest(): AsyncGenerator<readonly LogRecord[]> {
    while (this.#waiting.length > 0) yield* this.#next(0, 0);
  }

  async *#next(position: number, lines: number): AsyncGenerator<readonly LogRecord[]> {
    const file = this.#waiting.shift();
    if (file === undefined) return;
    this.#last?.[Symbol.dispose]();
    this.#last = file;
    const { parse } = this.#form;
    this.#reader = file.isCompressed ? undefined : new GrowingFileReader(file, parse, position);
    if (this.#reader === undefined) yield* recordsAfterLines(file, parse, lines);
    else yield* this.#reader.records();
  }

  [Symbol.dispose](): void {
    this.#last?.[Symbol.dispose]();
    for (const file of this.#waiting) file[Symbol.dispose]();
  }
}

/** Takes records that are within `since` and `until`. */
class TimeBounds {
  readonly #since: Instant | undefined;
  readonly #until: Instant | undefined;
  /** Many records have one time. */
  #time = "";
  #instant: Instant | undefined;
  /** Something newer than `until` has come. */
  isOver = false;

  constructor({ since, until }: ReadLogOptions) {
    this.#since = since;
    this.#until = until;
  }

  take(records: readonly LogRecord[]): readonly LogRecord[] {
    if (this.#since === undefined && this.#until === undefined) return records;
    const taken: LogRecord[] = [];
    for (const record of records) {
      const instant = this.#instantOf(record.time);
      if (instant !== undefined && this.#until !== undefined && instant > this.#until) {
        this.isOver = true;
        break;
      }
      if (instant === undefined || this.#since === undefined || instant >= this.#since) taken.push(record);
    }
    return taken;
  }

  #instantOf(time: string): Instant | undefined {
    if (time !== this.#time) {
      this.#time = time;
      this.#instant = parseDate(time);
    }
    return this.#instant;
  }

  /** Whether what is written from now on is too new. */
  isPast(): boolean {
    return this.#until !== undefined && instantOf(Date.now()) > this.#until;
  }

  /** Milliseconds until then. */
  rest(): number | undefined {
    if (this.#until === undefined) return undefined;
    return Math.max(0, Number(this.#until - instantOf(Date.now())) / 1e6) + 1;
  }
}

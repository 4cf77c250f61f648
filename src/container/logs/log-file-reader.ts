import { createReadStream, fstatSync, readSync } from "node:fs";
import { duplicate } from "../../linux/fd.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { LogFile } from "./log-files.ts";
import { endsLine, type LogRecord, type RecordParser } from "./log-record.ts";
import { RecordStream } from "./record-stream.ts";

/** Small enough that a follower comes to look for new files several times while the writer fills one. */
const blockSize = 64 * 1024;

/** The records of a file that may grow. */
export class GrowingFileReader {
  readonly #fd: number;
  readonly #stream: RecordStream;
  readonly #block = new Uint8Array(blockSize);
  /** Up to where it was read: to the end of a record, between calls. */
  #position: number;

  /** @param position where to begin: 0, or where a record begins */
  constructor(file: LogFile, parse: RecordParser, position = 0) {
    this.#fd = file.fd;
    this.#stream = new RecordStream(parse);
    this.#position = position;
  }

  /**
   * What is there now and was not read yet, in parts. The beginning of a record at the end is left for the next time: it
   * may be a torn one, and the next writer puts another in its place.
   */
  *records(): Generator<LogRecord[]> {
    let whole = this.#position;
    for (;;) {
      const count = readSync(this.#fd, this.#block, 0, this.#block.length, this.#position);
      if (count === 0) break;
      const bytes = this.#block.subarray(0, count);
      const end = bytes.lastIndexOf(newline);
      if (end >= 0) whole = this.#position + end + 1;
      this.#position += count;
      yield this.#stream.take(bytes);
    }
    if (this.#stream.isLost) return;
    this.#position = whole;
    this.#stream.forget();
  }

  /** Lets {@link records} begin anew when somebody has made the file shorter than what was read of it. @returns whether */
  restartIfCut(): boolean {
    if (fstatSync(this.#fd).size >= this.#position) return false;
    this.#position = 0;
    this.#stream.forget();
    return true;
  }
}

const newline = 0x0a;

/**
 * The records of a compressed file, in parts.
 * @throws InvalidDocumentError it is damaged
 */
export async function* compressedRecords(file: LogFile, parse: RecordParser): AsyncGenerator<LogRecord[]> {
  const { createGunzip } = await import("node:zlib");
  const stream = new RecordStream(parse);
  const source = createReadStream("", { fd: duplicate(file.fd).release(), start: 0 });
  const plain = source.pipe(createGunzip());
  try {
    source.on("error", (error) => plain.destroy(error));
    for await (const chunk of plain) yield stream.take(chunk as Uint8Array);
  } catch (error) {
    throw new InvalidDocumentError(`the log ${file.path} cannot be decompressed`, { cause: error });
  } finally {
    plain.destroy();
    source.destroy();
  }
}

/** As {@link compressedRecords}, from behind so many lines on. */
export async function* recordsAfterLines(
  file: LogFile,
  parse: RecordParser,
  lines: number,
): AsyncGenerator<LogRecord[]> {
  let left = lines;
  for await (const records of compressedRecords(file, parse)) {
    let first = 0;
    for (; left > 0 && first < records.length; first++) if (endsLine(records[first] as LogRecord)) left--;
    yield first === 0 ? records : records.slice(first);
  }
}

import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { LogConfiguration } from "../record.ts";
import { CriEncoder } from "./cri-encoder.ts";
import { JsonEncoder } from "./json-encoder.ts";
import { type LinePiece, LineSplitter, longestPiece } from "./line-splitter.ts";
import { logAttributes, logTag } from "./log-attributes.ts";
import { checkLogConfiguration, rotationOf } from "./log-options.ts";
import { logPath } from "./log-path.ts";
import type { LogFacts, LogStream, LogWriter } from "./log-writer.ts";
import type { RecordEncoder } from "./record-encoder.ts";
import { RotatingFile } from "./rotating-file.ts";

/** Opens the log of a driver that writes files; see `openLog`. */
export function openFileLog(
  directory: string,
  configuration: LogConfiguration & { readonly driver: "json-file" | "local" },
  facts: LogFacts,
  onError: (error: unknown) => void,
): LogWriter {
  checkLogConfiguration(configuration);
  const path = logPath(directory, configuration.driver);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const encoder = configuration.driver === "local" ? new CriEncoder() : jsonEncoder(configuration.options, facts);
  return new FileLog(encoder, RotatingFile.open(path, rotationOf(configuration)), onError);
}

function jsonEncoder(options: LogConfiguration["options"], facts: LogFacts): JsonEncoder {
  const attributes = logAttributes(options, facts);
  const { tag = "" } = options;
  return new JsonEncoder(tag === "" ? attributes : { ...attributes, tag: logTag(tag, facts) });
}

/** What is written at once, if one record does not need more: the records of a chunk that a pipe gives. */
const usualBuffer = 256 * 1024;

/** Writes records to a file, as many at once as come at once. What a container writes never makes its memory grow. */
class FileLog implements LogWriter {
  readonly #encoder: RecordEncoder;
  readonly #file: RotatingFile;
  readonly #splitters: Readonly<Record<LogStream, LineSplitter>> = {
    stdout: new LineSplitter(),
    stderr: new LineSplitter(),
  };
  readonly #takers: Readonly<Record<LogStream, (piece: LinePiece) => void>> = {
    stdout: (piece) => this.#take("stdout", piece),
    stderr: (piece) => this.#take("stderr", piece),
  };
  readonly #buffer: Uint8Array;
  #pending = 0;
  #mayRotate = true;
  #now = Date.now();
  readonly #onError: (error: unknown) => void;

  constructor(encoder: RecordEncoder, file: RotatingFile, onError: (error: unknown) => void) {
    this.#encoder = encoder;
    this.#file = file;
    this.#onError = onError;
    this.#buffer = new Uint8Array(Math.max(usualBuffer, encoder.longest(longestPiece)));
  }

  write(stream: LogStream, bytes: Uint8Array, now: number): void {
    this.#now = now;
    this.#mayRotate = true;
    this.#splitters[stream].split(bytes, now, this.#takers[stream]);
    this.#drain();
    this.#compress();
  }

  flush(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      this.#splitters[stream].flush(this.#now, this.#takers[stream]);
    }
    this.#drain();
    while (this.#compress());
  }

  /** A file that cannot be put aside grows on, until the next chunk. */
  #rotate(): void {
    try {
      this.#file.rotate();
    } catch (error) {
      this.#mayRotate = false;
      this.#onError(error);
    }
  }

  /** A file that cannot be compressed is no reason to lose a line. */
  #compress(): boolean {
    try {
      return this.#file.compress();
    } catch (error) {
      this.#onError(error);
      return false;
    }
  }

  #take(stream: LogStream, piece: LinePiece): void {
    if (this.#mayRotate && this.#file.isFull(this.#pending)) {
      this.#drain();
      this.#rotate();
    }
    const longest = this.#encoder.longest(piece.end - piece.start);
    if (this.#pending + longest > this.#buffer.length) this.#drain();
    this.#pending = this.#encoder.encode(this.#buffer, this.#pending, stream, piece);
  }

  #drain(): void {
    const count = this.#pending;
    if (count === 0) return;
    // What cannot be written is lost, and must not stand in the way of what comes.
    this.#pending = 0;
    this.#file.append(this.#buffer, count);
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

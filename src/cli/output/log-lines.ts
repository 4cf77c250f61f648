import { endsLine, type LogRecord } from "../../container/logs/log-record.ts";
import type { LogStream } from "../../container/logs/log-writer.ts";
import { formatInstant, parseDate } from "../../util/instant.ts";

/** What stands before each line. */
export interface LogLineOptions {
  readonly timestamps: boolean;
  /** What the log's options had it say of the container. */
  readonly details: boolean;
}

/** What follows each other on one of the outputs. */
export interface LogOutput {
  readonly stream: LogStream;
  readonly bytes: Uint8Array;
}

/** Makes of the records of a log what is shown of it. */
export class LogLines {
  readonly #options: LogLineOptions;
  /** The streams whose last line has no end yet. */
  readonly #unfinished = new Set<LogStream>();
  #time = "";
  #shownTime = "";

  constructor(options: LogLineOptions) {
    this.#options = options;
  }

  /** The text of records, as few parts as keep their order. */
  *format(records: readonly LogRecord[]): Generator<LogOutput> {
    let stream: LogStream = "stdout";
    let parts: Uint8Array[] = [];
    for (const record of records) {
      if (record.stream !== stream && parts.length > 0) {
        yield { stream, bytes: Buffer.concat(parts) };
        parts = [];
      }
      stream = record.stream;
      const head = this.#unfinished.has(stream) ? "" : this.#head(record);
      if (head !== "") parts.push(Buffer.from(head));
      parts.push(record.text);
      if (endsLine(record)) this.#unfinished.delete(stream);
      else this.#unfinished.add(stream);
    }
    if (parts.length > 0) yield { stream, bytes: Buffer.concat(parts) };
  }

  #head({ time, attributes }: LogRecord): string {
    const { timestamps, details } = this.#options;
    return `${timestamps ? `${this.#formatTime(time)} ` : ""}${details ? `${formatDetails(attributes)} ` : ""}`;
  }

  /** With all digits, so that the lines stand below each other; as it is written when it is no time. */
  #formatTime(time: string): string {
    if (time !== this.#time) {
      const instant = parseDate(time);
      this.#time = time;
      this.#shownTime = instant === undefined ? time : formatInstant(instant);
    }
    return this.#shownTime;
  }
}

/** Docker's form: sorted by names, and in the encoding of forms, so that neither a comma nor a space is in a value. */
function formatDetails(attributes: LogRecord["attributes"]): string {
  const encode = (text: string) => new URLSearchParams([["", text]]).toString().slice(1);
  const names = Object.keys(attributes).sort();
  return names.map((name) => `${encode(name)}=${encode(attributes[name] ?? "")}`).join(",");
}

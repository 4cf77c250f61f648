import type { LogRecord, RecordParser } from "./log-record.ts";

const newline = 0x0a;
/** What has no newline for so long is no log, and is not collected. A record of Docker's has a tenth of that. */
export const longestRecord = 1024 * 1024;

/** Makes records of the bytes of a file as they come. What is no record is left out. */
export class RecordStream {
  readonly #parse: RecordParser;
  #rest: Uint8Array = new Uint8Array(0);
  #isLost = false;

  constructor(parse: RecordParser) {
    this.#parse = parse;
  }

  /** What waits for its end is longer than any record. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** The records that the bytes make whole. The bytes are not kept. */
  take(bytes: Uint8Array): LogRecord[] {
    const records: LogRecord[] = [];
    let start = 0;
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      const record = this.#isLost ? undefined : this.#read(bytes, start, end);
      if (record !== undefined) records.push(record);
      if (this.#isLost || this.#rest.length > 0) this.forget();
      start = end + 1;
    }
    if (start < bytes.length) this.#keep(bytes.subarray(start));
    return records;
  }

  #read(bytes: Uint8Array, start: number, end: number): LogRecord | undefined {
    if (this.#rest.length === 0) return this.#parse(bytes, start, end);
    const line = this.#joined(bytes.subarray(start, end));
    return this.#parse(line, 0, line.length);
  }

  /** Leaves out what waits. */
  forget(): void {
    this.#rest = new Uint8Array(0);
    this.#isLost = false;
  }

  #keep(bytes: Uint8Array): void {
    this.#isLost ||= this.#rest.length + bytes.length > longestRecord;
    this.#rest = this.#isLost ? new Uint8Array(0) : this.#joined(bytes);
  }

  #joined(bytes: Uint8Array): Uint8Array {
    const whole = new Uint8Array(this.#rest.length + bytes.length);
    whole.set(this.#rest);
    whole.set(bytes, this.#rest.length);
    return whole;
  }
}

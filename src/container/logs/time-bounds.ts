import { type Instant, instantOf, parseDate } from "../../util/instant.ts";
import type { LogRecord } from "./log-record.ts";

/** Takes records that are within `since` and `until`. */
export class TimeBounds {
  readonly #since: Instant | undefined;
  readonly #until: Instant | undefined;
  /** Many records have one time. */
  #time = "";
  #instant: Instant | undefined;
  /** Something newer than `until` has come. */
  isOver = false;

  constructor({ since, until }: { readonly since?: Instant | undefined; readonly until?: Instant | undefined }) {
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

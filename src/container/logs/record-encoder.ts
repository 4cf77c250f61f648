import type { LinePiece } from "./line-splitter.ts";
import type { LogStream } from "./log-writer.ts";

/** How a driver writes a line, or a piece of one, into its file. Each record is a line of the file. */
export interface RecordEncoder {
  /** The most bytes that the record of a piece of `length` bytes can take. */
  longest(length: number): number;
  /**
   * Puts a record into `target`, which has the room.
   * @returns where it ends
   */
  encode(target: Uint8Array, at: number, stream: LogStream, piece: LinePiece): number;
}

/** What is made for a chunk of output and not for each line: texts that have the time in them. */
export class ByTime<Made> {
  readonly #make: (time: string) => Made;
  #time = Number.NaN;
  #made: Made | undefined;

  /** @param make takes the time as RFC 3339 without trailing zeros, as Go writes it */
  constructor(make: (time: string) => Made) {
    this.#make = make;
  }

  /** @param time milliseconds since the epoch */
  at(time: number): Made {
    if (this.#made === undefined || this.#time !== time) {
      this.#made = this.#make(goTime(time));
      this.#time = time;
    }
    return this.#made;
  }
}

/** RFC3339Nano of Go: UTC, a fraction without trailing zeros, and none when it is zero. */
function goTime(milliseconds: number): string {
  const whole = Math.floor(milliseconds);
  // A number's precision at this size is a quarter of a microsecond.
  const microseconds = Math.floor((milliseconds - whole) * 1000);
  const text = `${new Date(whole).toISOString().slice(0, -1)}${String(microseconds).padStart(3, "0")}`;
  return `${text.replace(/\.?0+$/, "")}Z`;
}

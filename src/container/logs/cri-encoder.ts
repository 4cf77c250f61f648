import type { LinePiece } from "./line-splitter.ts";
import type { LogStream } from "./log-writer.ts";
import { ByTime, type RecordEncoder } from "./record-encoder.ts";

const encoder = new TextEncoder();
const lineFeed = 0x0a;

/** What stands before a record's text. */
interface Heads {
  readonly whole: Uint8Array;
  readonly cut: Uint8Array;
}

/**
 * The form of Kubernetes's container runtimes, which gocker's `local` driver has: `TIME STREAM F|P TEXT`, with P for a
 * piece that does not end its line. The text is what the container wrote, byte by byte.
 */
export class CriEncoder implements RecordEncoder {
  readonly #heads: Readonly<Record<LogStream, ByTime<Heads>>>;

  constructor() {
    const heads = (stream: LogStream) =>
      new ByTime((time) => ({
        whole: encoder.encode(`${time} ${stream} F `),
        cut: encoder.encode(`${time} ${stream} P `),
      }));
    this.#heads = { stdout: heads("stdout"), stderr: heads("stderr") };
  }

  longest(length: number): number {
    const timeAndStream = 64;
    return length + timeAndStream;
  }

  encode(target: Uint8Array, at: number, stream: LogStream, piece: LinePiece): number {
    const heads = this.#heads[stream].at(piece.time);
    const head = piece.isLast ? heads.whole : heads.cut;
    target.set(head, at);
    const { source, start, end } = piece;
    let to = at + head.length;
    // Most lines are too short for a copy by the engine to pay.
    for (let index = start; index < end; index++) target[to++] = source[index] as number;
    target[to++] = lineFeed;
    return to;
  }
}

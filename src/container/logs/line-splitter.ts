/** A longer line is cut into pieces of so many bytes, as Docker has it. */
export const longestPiece = 16 * 1024;

/** A line or a piece of one, without its newline: bytes `start` to `end` of `source`. Only valid during the call. */
export interface LinePiece {
  source: Uint8Array;
  start: number;
  end: number;
  /** The line ends with it. */
  isLast: boolean;
  /** Milliseconds since the epoch: when the line was whole, or of its first piece for all pieces. */
  time: number;
}

const newline = 0x0a;

/**
 * Cuts a stream of bytes into lines. Its memory is that of one piece, whatever comes. One object tells of all pieces, as
 * there may be millions in a second.
 */
export class LineSplitter {
  readonly #rest = new Uint8Array(longestPiece);
  #length = 0;
  /** A piece of the line was given out already. */
  #isContinued = false;
  readonly #piece: LinePiece = { source: this.#rest, start: 0, end: 0, isLast: true, time: 0 };

  /**
   * Gives out the lines that are whole now, and pieces of long ones.
   * @param now milliseconds since the epoch
   */
  split(bytes: Uint8Array, now: number, take: (piece: LinePiece) => void): void {
    for (let start = 0; start < bytes.length;) {
      const found = bytes.indexOf(newline, start);
      const end = found < 0 ? bytes.length : found;
      const isWhole = found >= 0 && this.#length === 0 && end - start < longestPiece;
      if (isWhole) this.#give(bytes, start, end, true, now, take);
      else {
        this.#collect(bytes, start, end, now, take);
        if (found >= 0) this.#give(this.#rest, 0, this.#length, true, now, take);
      }
      start = end + 1;
    }
  }

  /** Gives out what waits for its newline: none will come. */
  flush(now: number, take: (piece: LinePiece) => void): void {
    if (this.#length > 0) this.#give(this.#rest, 0, this.#length, false, now, take);
    this.#isContinued = false;
  }

  #collect(bytes: Uint8Array, start: number, end: number, now: number, take: (piece: LinePiece) => void): void {
    for (let at = start; at < end;) {
      const count = Math.min(end - at, longestPiece - this.#length);
      this.#rest.set(bytes.subarray(at, at + count), this.#length);
      this.#length += count;
      at += count;
      if (this.#length === longestPiece) this.#cut(now, take);
    }
  }

  #cut(now: number, take: (piece: LinePiece) => void): void {
    const end = characterEnd(this.#rest);
    this.#give(this.#rest, 0, end, false, now, take);
    this.#rest.copyWithin(0, end, longestPiece);
    this.#length = longestPiece - end;
  }

  #give(
    source: Uint8Array,
    start: number,
    end: number,
    isLast: boolean,
    now: number,
    take: (piece: LinePiece) => void,
  ): void {
    const piece = this.#piece;
    piece.source = source;
    piece.start = start;
    piece.end = end;
    piece.isLast = isLast;
    if (!this.#isContinued) piece.time = now;
    this.#isContinued = !isLast;
    this.#length = 0;
    take(piece);
  }
}

/**
 * Where the last whole character of UTF-8 ends: cut within one, its halves would both be no text any more. All of the
 * bytes, if their end is no UTF-8.
 */
function characterEnd(bytes: Uint8Array): number {
  const longestCharacter = 4;
  for (let length = 1; length < longestCharacter; length++) {
    const byte = bytes[bytes.length - length] as number;
    const isContinuation = byte >= 0x80 && byte < 0xc0;
    if (isContinuation) continue;
    const needed = byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : byte < 0xf8 ? 4 : 1;
    return needed > length ? bytes.length - length : bytes.length;
  }
  return bytes.length;
}

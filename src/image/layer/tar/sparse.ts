import { blockSize } from "./header.ts";
import { tarError } from "./errors.ts";
import { parseDecimal, parseNumericField } from "./numbers.ts";

/** Where the stored content of a sparse file belongs: ascending, never overlapping pieces; the rest are holes. */
export interface SparseMap {
  /** Offset, length, offset, length, … in bytes. */
  readonly pieces: readonly number[];
  /** Bytes of the file with its holes. */
  readonly size: number;
}

/**
 * Checks a map against the file's size and the bytes that the archive stores for it.
 * @throws InvalidDocumentError
 */
export function checkSparseMap(pieces: readonly number[], size: number, stored: number, offset: number): SparseMap {
  if (pieces.length % 2 !== 0) throw tarError(offset, "a sparse file's map ends in the middle");
  let end = 0;
  let total = 0;
  for (let index = 0; index < pieces.length; index += 2) {
    const start = pieces[index] as number;
    const length = pieces[index + 1] as number;
    if (start < end || length < 0) throw tarError(offset, "a sparse file's map is out of order");
    end = start + length;
    total += length;
  }
  if (end > size) throw tarError(offset, "a sparse file's map goes beyond its end");
  if (total !== stored) throw tarError(offset, "a sparse file's map does not fit its content");
  return { pieces, size };
}

/** The pieces of one old GNU header (4 of them, at 386) or extension block (21 of them, at its begin). */
export interface OldSparsePieces {
  readonly pieces: number[];
  /** Whether one more block of pieces follows. */
  readonly extended: boolean;
}

/** Reads the pieces in the header of a GNU sparse member (type `S`). @throws InvalidDocumentError */
export function parseOldSparseHeader(bytes: Buffer, start: number, offset: number): OldSparsePieces & { size: number } {
  const size = parseNumericField(bytes, start + 483, 12);
  if (size === undefined || size < 0) throw tarError(offset, "a sparse file's size is not a number");
  return { pieces: parsePieces(bytes, start + 386, 4, offset), extended: bytes[start + 482] !== 0, size };
}

/** Reads a block of further pieces. @throws InvalidDocumentError */
export function parseOldSparseExtension(bytes: Buffer, start: number, offset: number): OldSparsePieces {
  return { pieces: parsePieces(bytes, start, 21, offset), extended: bytes[start + 504] !== 0 };
}

function parsePieces(bytes: Buffer, start: number, count: number, offset: number): number[] {
  const pieces: number[] = [];
  for (let at = start; at < start + 24 * count; at += 24) {
    // An unused slot is empty, and so are all after it.
    if (bytes[at] === 0 && bytes[at + 12] === 0) break;
    const begin = parseNumericField(bytes, at, 12);
    const length = parseNumericField(bytes, at + 12, 12);
    if (begin === undefined || length === undefined || begin < 0 || length < 0) {
      throw tarError(offset, "a sparse file's map is not made of numbers");
    }
    pieces.push(begin, length);
  }
  return pieces;
}

const newline = 0x0a;
const longestNumber = 16;

/**
 * The map in front of the content of a PAX sparse file, format 1.0: decimal numbers, each with a newline, first how many
 * pieces there are, then offset and length of each; padded to whole blocks. It arrives block by block.
 */
export class PaxSparseMapParser {
  readonly #offset: number;
  #digits = "";
  #awaited: number | undefined;
  readonly pieces: number[] = [];

  /** @param offset of the member's header, for errors */
  constructor(offset: number) {
    this.#offset = offset;
  }

  /** Takes one block; says whether the map is complete with it. @throws InvalidDocumentError */
  push(bytes: Uint8Array, start: number): boolean {
    for (let index = start; index < start + blockSize; index++) {
      const byte = bytes[index] as number;
      if (byte === newline) {
        if (this.#number()) return true;
      } else {
        this.#digits += String.fromCharCode(byte);
        if (this.#digits.length > longestNumber) throw this.#broken();
      }
    }
    return false;
  }

  #number(): boolean {
    const value = parseDecimal(this.#digits);
    if (value === undefined || value < 0) throw this.#broken();
    this.#digits = "";
    if (this.#awaited === undefined) this.#awaited = value * 2;
    else this.pieces.push(value);
    return this.pieces.length === this.#awaited;
  }

  #broken() {
    return tarError(this.#offset, "a sparse file's map is not made of numbers");
  }
}

/** Where in a sparse file the next stored byte belongs. */
export class SparseCursor {
  readonly #pieces: readonly number[];
  #index = 0;
  #done = 0;

  constructor(map: SparseMap) {
    this.#pieces = map.pieces;
    this.#skipEmpty();
  }

  /** The position of the next stored byte in the file. */
  get position(): number {
    return (this.#pieces[this.#index] ?? 0) + this.#done;
  }

  /** Bytes from there to the end of the piece; 0 behind the last piece. */
  get left(): number {
    return (this.#pieces[this.#index + 1] ?? 0) - this.#done;
  }

  /** Passes `count` bytes, at most {@link left}. */
  advance(count: number): void {
    this.#done += count;
    this.#skipEmpty();
  }

  #skipEmpty(): void {
    while (this.#index < this.#pieces.length && this.left === 0) {
      this.#index += 2;
      this.#done = 0;
    }
  }
}

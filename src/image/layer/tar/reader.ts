import type { TarHandler } from "./entry.ts";
import { tarError } from "./errors.ts";
import { ExtendedHeaders, isExtendedHeader, metadataLimit } from "./extended-headers.ts";
import { blockSize, isZeroBlock, parseHeader, type TarHeader } from "./header.ts";
import { buildMember, type TarMember } from "./member.ts";
import { checkSparseMap, parseOldSparseExtension, parseOldSparseHeader } from "./sparse.ts";
import { type OldSparsePieces, PaxSparseMapParser, SparseCursor } from "./sparse.ts";

/** What the next bytes are. */
type Phase = "header" | "extended-header" | "old-sparse-map" | "sparse-map" | "content" | "skip" | "padding" | "end";

/**
 * A tar archive taken apart as its bytes arrive: POSIX ustar and pax, GNU, star and Version 7, with long names, sparse
 * files and extended attributes. Bytes go in by {@link write}, members come out at the handler, all within that call:
 * never more than one block, one extended header and one sparse map are kept.
 *
 * Two blocks of zeros end an archive. What comes behind them is taken and ignored, like padding.
 */
export class TarReader {
  readonly #handler: TarHandler;
  readonly #extended = new ExtendedHeaders();
  #phase: Phase = "header";
  /** Bytes of the archive before the chunk that is being read. */
  #offset = 0;
  readonly #block = Buffer.alloc(blockSize);
  #blockFill = 0;
  /** Bytes of the phase that are still to come, and those of the padding behind the member. */
  #left = 0;
  #padding = 0;
  #afterZeroBlock = false;

  #header: TarHeader | undefined;
  #headerOffset = 0;
  #member: TarMember | undefined;
  #oldSparse: (OldSparsePieces & { size: number }) | undefined;
  #mapParser: PaxSparseMapParser | undefined;
  #mapSize = 0;
  #cursor: SparseCursor | undefined;
  /** Where in the file the next byte of content belongs. */
  #position = 0;

  constructor(handler: TarHandler) {
    this.#handler = handler;
  }

  /**
   * Takes the archive's next bytes.
   * @throws InvalidDocumentError when they break the rules of tar; and whatever the handler throws. The reader is of no
   *   use afterwards.
   */
  write(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    while (at < bytes.length) at += this.#take(bytes, at);
    this.#offset += bytes.length;
  }

  /**
   * Says that the archive ends here.
   * @throws InvalidDocumentError when it ends inside a member. Missing end marks are tolerated, as by every tar.
   */
  finish(): void {
    if (this.#phase === "end") return;
    if (this.#phase !== "header" || this.#blockFill > 0) throw tarError(this.#offset, "it ends inside a member");
    this.#refuseDanglingHeader(this.#offset);
  }

  /** Takes the bytes at `at` that belong to the current phase; returns how many. */
  #take(bytes: Buffer, at: number): number {
    switch (this.#phase) {
      case "content":
        return this.#takeContent(bytes, at);
      case "extended-header": {
        const count = Math.min(this.#left, bytes.length - at);
        this.#extended.append(bytes, at, count);
        return this.#advance(count);
      }
      case "skip":
      case "padding":
        return this.#advance(Math.min(this.#left, bytes.length - at));
      case "end":
        return bytes.length - at;
      default:
        return this.#collectBlock(bytes, at);
    }
  }

  /** Takes one block of the phases that come in blocks, out of the chunk itself where it is whole. */
  #collectBlock(bytes: Buffer, at: number): number {
    if (this.#blockFill === 0 && bytes.length - at >= blockSize) {
      this.#takeBlock(bytes, at, this.#offset + at);
      return blockSize;
    }
    const count = Math.min(blockSize - this.#blockFill, bytes.length - at);
    bytes.copy(this.#block, this.#blockFill, at, at + count);
    this.#blockFill += count;
    if (this.#blockFill === blockSize) {
      this.#blockFill = 0;
      this.#takeBlock(this.#block, 0, this.#offset + at + count - blockSize);
    }
    return count;
  }

  #takeBlock(bytes: Buffer, start: number, offset: number): void {
    if (this.#phase === "header") this.#takeHeader(bytes, start, offset);
    else if (this.#phase === "old-sparse-map") this.#takeOldSparseMap(bytes, start);
    else this.#takeSparseMap(bytes, start);
  }

  /** Starts a phase of `size` bytes; an empty one is over at once. */
  #begin(phase: Phase, size: number): void {
    this.#phase = phase;
    this.#left = size;
    if (size === 0) this.#endPhase();
  }

  #advance(count: number): number {
    this.#left -= count;
    if (this.#left === 0) this.#endPhase();
    return count;
  }

  #endPhase(): void {
    if (this.#phase === "extended-header") this.#extended.end();
    else if (this.#phase === "content") this.#endMember();
    this.#phase = "header";
    if (this.#padding === 0) return;
    this.#phase = "padding";
    this.#left = this.#padding;
    this.#padding = 0;
  }

  #takeHeader(bytes: Buffer, start: number, offset: number): void {
    if (bytes[start] === 0 && isZeroBlock(bytes, start)) {
      if (this.#afterZeroBlock) this.#refuseDanglingHeader(offset);
      this.#phase = this.#afterZeroBlock ? "end" : "header";
      this.#afterZeroBlock = true;
      return;
    }
    // To go on, or to end here as other tars do, would silently gain or lose files. Go's reader refuses, so no image
    // that works elsewhere has this.
    if (this.#afterZeroBlock) throw tarError(offset, "a single block of zeros stands between two members");
    const header = parseHeader(bytes, start, offset);
    this.#headerOffset = offset;
    this.#padding = paddingOf(header.size);
    if (isExtendedHeader(header.typeFlag)) {
      this.#extended.begin(header.typeFlag, header.size, offset);
      this.#begin("extended-header", header.size);
    } else if (header.typeFlag === "V" || header.typeFlag === "A") {
      // GNU's volume label and Solaris's access control list: nothing to unpack.
      this.#extended.take();
      this.#begin("skip", header.size);
    } else {
      this.#header = header;
      this.#oldSparse = header.typeFlag === "S" ? parseOldSparseHeader(bytes, start, offset) : undefined;
      if (this.#oldSparse?.extended === true) this.#beginMap("old-sparse-map");
      else this.#beginMember(header);
    }
  }

  /** An extended header must describe something. */
  #refuseDanglingHeader(offset: number): void {
    if (this.#extended.pending) throw tarError(offset, "it ends with an extended header that belongs to no member");
  }

  #beginMember(header: TarHeader): void {
    this.#header = undefined;
    const member = buildMember(header, this.#extended.take(), this.#headerOffset, this.#oldSparse?.size);
    this.#member = member;
    this.#padding = paddingOf(member.stored);
    if (member.map === "content") {
      this.#mapParser = new PaxSparseMapParser(this.#headerOffset);
      this.#left = member.stored;
      this.#beginMap("sparse-map");
    } else {
      const pieces = member.map === "header" ? this.#oldSparse?.pieces : member.map;
      this.#beginContent(member, pieces, member.stored);
    }
  }

  #beginContent({ entry }: TarMember, pieces: readonly number[] | undefined, stored: number): void {
    this.#cursor = undefined;
    this.#position = 0;
    if (pieces !== undefined) {
      this.#cursor = new SparseCursor(checkSparseMap(pieces, entry.size, stored, entry.offset));
    }
    this.#handler.entry(entry);
    if (entry.type === "file") {
      this.#begin("content", stored);
    } else {
      this.#endMember();
      this.#begin("skip", stored);
    }
  }

  #takeContent(bytes: Buffer, at: number): number {
    let count = Math.min(this.#left, bytes.length - at);
    if (this.#cursor !== undefined) {
      count = Math.min(count, this.#cursor.left);
      this.#position = this.#cursor.position;
      this.#cursor.advance(count);
    }
    const whole = at === 0 && count === bytes.length;
    this.#handler.content(whole ? bytes : bytes.subarray(at, at + count), this.#position);
    this.#position += count;
    return this.#advance(count);
  }

  #endMember(): void {
    const { entry } = this.#member as TarMember;
    this.#member = undefined;
    this.#handler.end(entry);
  }

  #beginMap(phase: "old-sparse-map" | "sparse-map"): void {
    this.#phase = phase;
    this.#mapSize = 0;
  }

  #countMapBlock(): void {
    this.#mapSize += blockSize;
    if (this.#mapSize > metadataLimit) throw tarError(this.#headerOffset, "a sparse file's map is too large");
  }

  #takeOldSparseMap(bytes: Buffer, start: number): void {
    this.#countMapBlock();
    const old = this.#oldSparse as OldSparsePieces;
    const more = parseOldSparseExtension(bytes, start, this.#headerOffset);
    for (const number of more.pieces) old.pieces.push(number);
    if (!more.extended) this.#beginMember(this.#header as TarHeader);
  }

  #takeSparseMap(bytes: Buffer, start: number): void {
    this.#countMapBlock();
    const parser = this.#mapParser as PaxSparseMapParser;
    if (this.#left < blockSize) throw tarError(this.#headerOffset, "a sparse file's map is longer than its content");
    this.#left -= blockSize;
    if (parser.push(bytes, start)) this.#beginContent(this.#member as TarMember, parser.pieces, this.#left);
  }
}

/** Bytes that fill up `size` to whole blocks. */
function paddingOf(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

import { compressionError } from "./decompressor.ts";

const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;

/** What the next bytes are: fixed-size parts are collected, data is passed over. */
type Phase = "magic" | "descriptor" | "frame-header" | "block-header" | "data" | "checksum" | "skippable-size";

/**
 * Follows the frames of a zstd stream without decompressing them (RFC 8878, 3.1), because the decompressor does not tell
 * when a stream ends inside one.
 */
export class ZstdFrames {
  #phase: Phase = "magic";
  #needed = 4;
  readonly #part = new Uint8Array(14);
  #fill = 0;
  #dataLeft = 0;
  #afterData: Phase = "magic";
  #hasChecksum = false;

  /** Takes the stream's next bytes. @throws InvalidDocumentError when what begins there is no frame or block */
  write(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#phase === "data") {
        const count = Math.min(this.#dataLeft, bytes.length - at);
        this.#dataLeft -= count;
        at += count;
        if (this.#dataLeft === 0) this.#begin(this.#afterData);
        continue;
      }
      const count = Math.min(this.#needed - this.#fill, bytes.length - at);
      this.#part.set(bytes.subarray(at, at + count), this.#fill);
      this.#fill += count;
      at += count;
      if (this.#fill === this.#needed) this.#take();
    }
  }

  /** Says that the stream ends here. @throws InvalidDocumentError when that is inside a frame */
  finish(): void {
    if (this.#phase !== "magic" || this.#fill > 0) throw compressionError("zstd", "it is cut off");
  }

  #begin(phase: Phase, needed = 4): void {
    this.#phase = phase;
    this.#fill = 0;
    this.#needed = phase === "block-header" ? 3 : needed;
  }

  #skip(size: number, then: Phase): void {
    this.#afterData = then;
    this.#dataLeft = size;
    this.#begin(size === 0 ? then : "data");
  }

  #take(): void {
    const view = new DataView(this.#part.buffer);
    switch (this.#phase) {
      case "magic": {
        const magic = view.getUint32(0, true);
        if (magic === frameMagic) this.#begin("descriptor", 1);
        else if ((magic & 0xffff_fff0) === skippableMagic) this.#begin("skippable-size");
        else throw compressionError("zstd", "something that is no frame follows");
        return;
      }
      case "skippable-size":
        this.#skip(view.getUint32(0, true), "magic");
        return;
      case "descriptor": {
        const descriptor = view.getUint8(0);
        const isSingleSegment = (descriptor & 0x20) !== 0;
        const contentSize = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
        const dictionaryId = [0, 1, 2, 4][descriptor & 3] as number;
        this.#hasChecksum = (descriptor & 0x04) !== 0;
        const size = (isSingleSegment ? 0 : 1) + dictionaryId + contentSize;
        this.#begin("frame-header", size);
        return;
      }
      case "frame-header":
        this.#begin("block-header");
        return;
      case "block-header": {
        const header = view.getUint16(0, true) | (view.getUint8(2) << 16);
        const type = (header >> 1) & 3;
        if (type === 3) throw compressionError("zstd", "a block has the reserved type");
        const isRun = type === 1;
        const last: Phase = this.#hasChecksum ? "checksum" : "magic";
        this.#skip(isRun ? 1 : header >> 3, (header & 1) === 1 ? last : "block-header");
        return;
      }
      default:
        this.#begin("magic");
    }
  }
}

import { crc32 } from "node:zlib";
import { compressionError, type Decompressor, type PlainSink } from "./decompressor.ts";
import { NativeInflater } from "./native.ts";
import { OverlappedOutput } from "./output.ts";

/** RFC 1952, 2.3.1: bits of FLG. */
const headerChecksum = 0x02;
const extraField = 0x04;
const fileName = 0x08;
const comment = 0x10;
const reservedFlags = 0xe0;

/** Where in a member the next byte stands. */
type Phase =
  "header" | "extra-length" | "extra" | "name" | "comment" | "checksum" | "body" | "trailer" | "next" | "rest";

const fixedSizes: Partial<Record<Phase, number>> = { header: 10, "extra-length": 2, checksum: 2, trailer: 8 };

/**
 * gzip, RFC 1952: any number of members, each with its checksum and length checked. Behind a member anything that is not
 * the begin of another is ignored, as gunzip does; it was often padding.
 */
export class GzipDecompressor implements Decompressor {
  readonly #inflater = new NativeInflater("deflate");
  readonly #output: OverlappedOutput;
  #phase: Phase = "header";
  readonly #fixed = new Uint8Array(10);
  #fill = 0;
  #flags = 0;
  #extraLeft = 0;
  #crc = 0;
  #size = 0;
  #isFirst = true;

  constructor(sink: PlainSink) {
    this.#output = new OverlappedOutput(sink);
  }

  async write(bytes: Uint8Array): Promise<void> {
    let at = 0;
    while (at < bytes.length) {
      if (this.#phase === "body") at += await this.#inflate(bytes, at);
      else at += this.#frame(bytes, at);
    }
  }

  async finish(): Promise<void> {
    const isWhole = this.#phase === "rest" || (this.#phase === "next" && !this.#isFirst);
    if (!isWhole) throw compressionError("gzip", "it is cut off");
    this.#output.flush();
  }

  [Symbol.dispose](): void {
    this.#inflater[Symbol.dispose]();
  }

  async #inflate(bytes: Uint8Array, at: number): Promise<number> {
    const step = await this.#output.step(this.#inflater, bytes, at, (plain) => {
      this.#crc = crc32(plain, this.#crc);
      this.#size += plain.length;
    });
    // It stops with both input and room only where the stream ends.
    if (step.hadRoom && at + step.consumed < bytes.length) this.#begin("trailer");
    return step.consumed;
  }

  #begin(phase: Phase): void {
    this.#phase = phase;
    this.#fill = 0;
  }

  /** Takes what is around the compressed data; returns how many bytes. */
  #frame(bytes: Uint8Array, at: number): number {
    switch (this.#phase) {
      case "rest":
        return bytes.length - at;
      case "next":
        return this.#nextMember(bytes[at] as number);
      case "extra": {
        const count = Math.min(this.#extraLeft, bytes.length - at);
        this.#extraLeft -= count;
        if (this.#extraLeft === 0) this.#afterHeaderPart();
        return count;
      }
      case "name":
      case "comment": {
        const end = bytes.indexOf(0, at);
        if (end < 0) return bytes.length - at;
        this.#afterHeaderPart();
        return end + 1 - at;
      }
      default:
    }
    this.#fixed[this.#fill++] = bytes[at] as number;
    if (this.#fill === fixedSizes[this.#phase]) this.#takeFixed();
    return 1;
  }

  /** Looks, byte by byte, whether another member begins: its first two bytes tell. */
  #nextMember(byte: number): number {
    if (byte !== (this.#fill === 0 ? 0x1f : 0x8b)) {
      this.#phase = "rest";
      return 1;
    }
    this.#fixed[this.#fill++] = byte;
    if (this.#fill === 2) this.#phase = "header";
    return 1;
  }

  #takeFixed(): void {
    const view = new DataView(this.#fixed.buffer);
    switch (this.#phase) {
      case "header":
        if (view.getUint16(0) !== 0x1f8b) throw compressionError("gzip", "it does not begin as gzip does");
        if (this.#fixed[2] !== 8) throw compressionError("gzip", "its method is not deflate");
        this.#flags = this.#fixed[3] as number;
        if ((this.#flags & reservedFlags) !== 0) throw compressionError("gzip", "its header has unknown flags");
        this.#afterHeaderPart();
        return;
      case "extra-length":
        this.#extraLeft = view.getUint16(0, true);
        if (this.#extraLeft > 0) this.#begin("extra");
        else this.#afterHeaderPart();
        return;
      case "checksum":
        this.#afterHeaderPart();
        return;
      default: {
        if (view.getUint32(0, true) !== this.#crc) throw compressionError("gzip", "its checksum is wrong");
        if (view.getUint32(4, true) !== this.#size % 0x1_0000_0000) {
          throw compressionError("gzip", "its length is wrong");
        }
        this.#isFirst = false;
        this.#begin("next");
      }
    }
  }

  /** Goes to the next part of the header that its flags announce, at last to the compressed data. */
  #afterHeaderPart(): void {
    const parts: readonly [number, Phase][] = [
      [extraField, "extra-length"],
      [fileName, "name"],
      [comment, "comment"],
      [headerChecksum, "checksum"],
    ];
    for (const [flag, phase] of parts) {
      if ((this.#flags & flag) === 0) continue;
      this.#flags &= ~flag;
      this.#begin(phase);
      return;
    }
    if (!this.#isFirst) this.#inflater.reset();
    this.#crc = 0;
    this.#size = 0;
    this.#begin("body");
  }
}

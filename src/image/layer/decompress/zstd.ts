import { compressionError, type Decompressor, type PlainSink } from "./decompressor.ts";
import { NativeInflater } from "./native.ts";
import { OverlappedOutput } from "./output.ts";
import { ZstdFrames } from "./zstd-frames.ts";

/** zstd, RFC 8878: any number of frames, skippable ones among them. */
export class ZstdDecompressor implements Decompressor {
  readonly #inflater = new NativeInflater("zstd");
  readonly #frames = new ZstdFrames();
  readonly #output: OverlappedOutput;

  constructor(sink: PlainSink) {
    this.#output = new OverlappedOutput(sink);
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#frames.write(bytes);
    let at = 0;
    let hadRoom = true;
    // A full output may mean that there is more of it, though all input is taken.
    while (at < bytes.length || !hadRoom) {
      const step = await this.#output.step(this.#inflater, bytes, at);
      if (step.hadRoom && step.consumed === 0 && step.produced === 0 && at < bytes.length) {
        throw compressionError("zstd", "its frames do not end where they say");
      }
      at += step.consumed;
      hadRoom = step.hadRoom;
    }
  }

  async finish(): Promise<void> {
    this.#frames.finish();
    this.#output.flush();
  }

  [Symbol.dispose](): void {
    this.#inflater[Symbol.dispose]();
  }
}

import type { PlainSink } from "./decompressor.ts";
import type { InflateStep, NativeInflater } from "./native.ts";

const bufferSize = 1 << 20;

/** Pieces from this size on are handed on alone; smaller ones are collected. */
const worthwhile = 1 << 16;

/**
 * The plain side of a decompressor: two buffers, one of which is filled in the thread pool while the sink takes the
 * other.
 */
export class OverlappedOutput {
  readonly #sink: PlainSink;
  #current = Buffer.allocUnsafeSlow(bufferSize);
  #other = Buffer.allocUnsafeSlow(bufferSize);
  #fill = 0;
  #ready: Uint8Array | undefined;

  constructor(sink: PlainSink) {
    this.#sink = sink;
  }

  /**
   * Inflates one step into the free buffer and lets the sink take the full one meanwhile.
   * @param taken called with what the step produced, before it goes anywhere
   * @returns what the step did, and whether there was room for more
   */
  async step(
    inflater: NativeInflater,
    input: Uint8Array,
    offset: number,
    taken?: (bytes: Uint8Array) => void,
  ): Promise<InflateStep & { readonly hadRoom: boolean }> {
    let result: InflateStep;
    if (this.#fill > 0) {
      // Small streams, one behind the other, as seekable images have one for each file: the pool would cost more.
      this.#deliver();
      result = inflater.stepSync(input, offset, this.#current, this.#fill);
    } else {
      const step = inflater.step(input, offset, this.#current, 0);
      try {
        this.#deliver();
      } catch (error) {
        // The pool still writes into the buffer.
        await step.catch(() => {});
        throw error;
      }
      result = await step;
    }
    if (taken !== undefined && result.produced > 0) {
      taken(this.#current.subarray(this.#fill, this.#fill + result.produced));
    }
    this.#fill += result.produced;
    const hadRoom = this.#fill < bufferSize;
    if (this.#fill >= worthwhile) this.#swap();
    return { ...result, hadRoom };
  }

  /** Hands on everything. */
  flush(): void {
    this.#deliver();
    this.#swap();
    this.#deliver();
  }

  #swap(): void {
    this.#ready = this.#current.subarray(0, this.#fill);
    const free = this.#other;
    this.#other = this.#current;
    this.#current = free;
    this.#fill = 0;
  }

  #deliver(): void {
    const ready = this.#ready;
    this.#ready = undefined;
    if (ready !== undefined && ready.length > 0) this.#sink(ready);
  }
}

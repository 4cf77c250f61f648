import type { Digest } from "../../oci/digest.ts";
import { VerificationError } from "../../util/errors.ts";
import { LayerPipeline, type UnpackedLayer } from "./pipeline.ts";
import { LayerThread } from "./worker-thread.ts";

export type { UnpackedLayer } from "./pipeline.ts";

/** Size of the pieces in which bytes go to the Worker, and how many there are: what one layer keeps in memory. */
const slabSize = 1 << 18;
const mostSlabs = 6;

/** Up to here a layer is unpacked in this thread, because a Worker takes longer to start than to do it. */
const inlineLimit = 4 * slabSize;

/** All permission bits: modes are set again, since the umask of this thread is not known to be 0. */
const anyUmask = 0o777;

/** What is unpacked, and where to. */
export interface LayerUnpackerOptions {
  /** Host path of the layer's directory: it exists, is empty, and belongs to the unpacker until it is disposed. */
  readonly directory: string;
  /** The descriptor's media type. Not gone by: the bytes tell how they are compressed. */
  readonly mediaType?: string | undefined;
  /** What the plain tar must have as its digest. */
  readonly diffId: Digest;
}

interface Slab {
  readonly bytes: Uint8Array<ArrayBuffer>;
  length: number;
}

/**
 * Unpacks one layer while its bytes arrive: decompresses, verifies, reads the tar and writes the directory, in a thread
 * of its own once there is enough to do. Bytes are copied on {@link write}, so the caller keeps its arrays.
 *
 * ```ts
 * await using unpacker = LayerUnpacker.start({ directory, mediaType, diffId });
 * for await (const chunk of stream) await unpacker.write(chunk);
 * const { size } = await unpacker.finish();
 * ```
 */
export class LayerUnpacker implements AsyncDisposable {
  readonly #options: LayerUnpackerOptions;
  /** Full slabs, while it is not yet decided where to unpack. */
  #held: Slab[] = [];
  #free: Uint8Array<ArrayBuffer>[] = [];
  #slabs = 0;
  #current: Slab | undefined;
  #thread: LayerThread | undefined;
  #inline: LayerPipeline | undefined;
  #work: Promise<unknown> = Promise.resolve();
  #onSpace: (() => void) | undefined;
  #isDisposed = false;

  private constructor(options: LayerUnpackerOptions) {
    this.#options = options;
  }

  /** Begins. Dispose it in any case: `await using`. */
  static start(options: LayerUnpackerOptions): LayerUnpacker {
    return new LayerUnpacker(options);
  }

  /**
   * Takes the layer's next bytes, as the registry sent them. One call at a time.
   * @returns settles when more may be written
   * @throws InvalidDocumentError, SystemCallError for what was written before; the layer is lost then
   */
  async write(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length;) {
      const slab = (this.#current ??= { bytes: await this.#takeSlab(), length: 0 });
      const count = Math.min(slabSize - slab.length, chunk.length - at);
      slab.bytes.set(chunk.subarray(at, at + count), slab.length);
      slab.length += count;
      at += count;
      if (slab.length === slabSize) this.#dispatch();
    }
  }

  /**
   * All bytes were written: waits until the directory is complete. Its files may still be in the kernel's memory only.
   * @throws VerificationError when the plain digest is not {@link LayerUnpackerOptions.diffId}
   * @throws InvalidDocumentError, SystemCallError
   */
  async finish(): Promise<UnpackedLayer> {
    this.#assertUsable();
    if (this.#thread !== undefined && this.#current !== undefined) this.#dispatch();
    const layer = this.#thread === undefined ? await this.#unpackInline() : await this.#thread.finish();
    if (layer.diffId !== this.#options.diffId) {
      throw new VerificationError("a layer's plain digest", this.#options.diffId, layer.diffId, {
        hint: "the image was built or copied wrongly; pull or build it again",
      });
    }
    return layer;
  }

  /** Ends whatever is still going on. Once it is settled, nothing is written to the directory any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#onSpace?.();
    await this.#thread?.[Symbol.asyncDispose]();
    // A pipeline in this thread stops with its step.
    await this.#work.catch(() => {});
    this.#inline?.[Symbol.dispose]();
  }

  #assertUsable(): void {
    if (this.#isDisposed) throw new Error("the unpacker was disposed");
    if (this.#thread?.failure !== undefined) throw this.#thread.failure;
  }

  /** An empty slab, as soon as there is one. */
  async #takeSlab(): Promise<Uint8Array<ArrayBuffer>> {
    this.#assertUsable();
    if (this.#free.length === 0 && this.#slabs === mostSlabs) {
      const space = Promise.withResolvers<void>();
      this.#onSpace = space.resolve;
      await space.promise;
      this.#onSpace = undefined;
      this.#assertUsable();
    }
    const free = this.#free.pop();
    if (free !== undefined) return free;
    this.#slabs++;
    return new Uint8Array(slabSize);
  }

  /** The current slab is complete: to the thread, which there must be when too many are held. */
  #dispatch(): void {
    this.#held.push(this.#current as Slab);
    this.#current = undefined;
    if (this.#thread === undefined) {
      if (this.#held.length * slabSize <= inlineLimit) return;
      this.#thread = new LayerThread(this.#options.directory, {
        consumed: (bytes) => {
          this.#free.push(bytes);
          this.#onSpace?.();
        },
        failed: () => this.#onSpace?.(),
      });
    }
    for (const slab of this.#held.splice(0)) this.#thread.write(slab.bytes, slab.length);
  }

  async #unpackInline(): Promise<UnpackedLayer> {
    const pipeline = new LayerPipeline(this.#options.directory, anyUmask);
    this.#inline = pipeline;
    const slabs = this.#current === undefined ? this.#held : [...this.#held, this.#current];
    const work = async () => {
      for (const slab of slabs) {
        if (this.#isDisposed) throw new Error("the unpacker was disposed");
        await pipeline.write(slab.bytes.subarray(0, slab.length));
      }
      return await pipeline.finish();
    };
    const layer = work();
    this.#work = layer;
    return await layer;
  }
}

import type { Digest } from "../../oci/digest.ts";
import { LayerApplier } from "./applier.ts";
import type { Decompressor } from "./decompress/decompressor.ts";
import { createDecompressor, magicSize } from "./decompress/detect.ts";
import { TarReader } from "./tar/reader.ts";

/** What a layer turned out to be. */
export interface UnpackedLayer {
  /** Digest of the plain tar, from its first to its last byte. */
  readonly diffId: Digest;
  /** Bytes of the plain tar. */
  readonly size: number;
  /** Members of the tar, whiteouts included. */
  readonly entries: number;
  /** Extended attributes that were left out, because this machine has no use for them. */
  readonly droppedXattrs: number;
}

/** From a layer's compressed bytes to its directory, in one thread: decompress, hash, read the tar, apply. */
export class LayerPipeline implements Disposable {
  readonly #hasher = new Bun.CryptoHasher("sha256");
  readonly #applier: LayerApplier;
  readonly #reader: TarReader;
  #size = 0;
  #head: Uint8Array = new Uint8Array(0);
  #decompressor: Decompressor | undefined;

  /** @param umask see {@link ApplierOptions} @throws SystemCallError */
  constructor(directory: string, umask: number) {
    this.#applier = new LayerApplier(directory, { umask });
    this.#reader = new TarReader(this.#applier);
  }

  /**
   * Takes the next compressed bytes, which must stay as they are until the promise is settled. One call at a time; after
   * an error there is nothing but to dispose.
   * @throws InvalidDocumentError, SystemCallError
   */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#decompressor !== undefined) {
      await this.#decompressor.write(bytes);
      return;
    }
    this.#head = this.#head.length === 0 ? bytes : Buffer.concat([this.#head, bytes]);
    if (this.#head.length >= magicSize) await this.#begin();
    else this.#head = Uint8Array.from(this.#head);
  }

  /** All bytes were written. @throws InvalidDocumentError, SystemCallError */
  async finish(): Promise<UnpackedLayer> {
    if (this.#decompressor === undefined) await this.#begin();
    await this.#decompressor?.finish();
    this.#reader.finish();
    this.#applier.finish();
    return {
      diffId: `sha256:${this.#hasher.digest("hex")}`,
      size: this.#size,
      entries: this.#applier.entries,
      droppedXattrs: this.#applier.droppedXattrs,
    };
  }

  /** Lets go of the directory: nothing is written to it any more. Not while a write is going on. */
  [Symbol.dispose](): void {
    this.#decompressor?.[Symbol.dispose]();
    this.#applier[Symbol.dispose]();
  }

  async #begin(): Promise<void> {
    const head = this.#head;
    this.#head = new Uint8Array(0);
    this.#decompressor = await createDecompressor(head, (bytes) => this.#plain(bytes));
    await this.#decompressor.write(head);
  }

  #plain(bytes: Uint8Array): void {
    this.#hasher.update(bytes);
    this.#size += bytes.length;
    this.#reader.write(bytes);
  }
}

import type { Descriptor } from "../oci/descriptor.ts";

/** A blob's bytes from `offset` to its end. */
export interface OpenBlob {
  /** Where the stream really begins: 0 when the source cannot begin in the middle. */
  readonly offset: number;
  readonly stream: ReadableStream<Uint8Array>;
}

/** Where the blobs of an image come from: a registry's repository or an archive. Nothing it gives is trusted. */
export interface BlobSource {
  /**
   * @param options.offset where to begin, in bytes
   * @param options.signal ends the opening and the stream
   * @returns a stream that fails when it breaks or when nothing comes any more
   */
  openBlob(descriptor: Descriptor, options: { offset: number; signal: AbortSignal }): Promise<OpenBlob>;
}

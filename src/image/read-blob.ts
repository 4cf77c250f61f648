import type { Descriptor } from "../oci/descriptor.ts";
import { digestOf } from "../oci/digest.ts";
import { InvalidDocumentError, VerificationError } from "../util/errors.ts";
import type { BlobSource } from "./blob-source.ts";
import { type BlobSink, download } from "./download.ts";

/** The longest document (manifest, config) that is read into memory, in bytes: what registries take at most. */
export const longestDocument = 8 * 1024 * 1024;

/**
 * A whole small blob, its size and digest checked.
 * @param what what it is, for error messages, such as "the config of docker.io/library/alpine:3.19"
 * @throws VerificationError, DownloadError, InvalidDocumentError when it is too long to be a document
 */
export async function readBlob(
  source: BlobSource,
  descriptor: Descriptor,
  what: string,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (descriptor.size > longestDocument) {
    throw new InvalidDocumentError(`${what} would be ${descriptor.size} bytes long; ${longestDocument} are allowed`);
  }
  const sink = new MemorySink(descriptor, what);
  await download(source, descriptor, sink, { signal });
  checkBlob(sink.bytes, descriptor, what);
  return sink.bytes;
}

class MemorySink implements BlobSink {
  readonly bytes: Uint8Array;
  readonly #what: string;
  #received = 0;

  constructor(descriptor: Descriptor, what: string) {
    this.bytes = new Uint8Array(descriptor.size);
    this.#what = what;
  }

  get received(): number {
    return this.#received;
  }

  take(chunk: Uint8Array): Promise<void> {
    const { length } = this.bytes;
    if (this.#received + chunk.length > length) {
      return Promise.reject(new VerificationError(`the size of ${this.#what}`, `${length} bytes`, "more"));
    }
    this.bytes.set(chunk, this.#received);
    this.#received += chunk.length;
    return Promise.resolve();
  }
}

/** Checks bytes against their descriptor. Throws VerificationError. */
export function checkBlob(bytes: Uint8Array, descriptor: Pick<Descriptor, "size" | "digest">, what: string): void {
  if (bytes.length !== descriptor.size) {
    throw new VerificationError(`the size of ${what}`, `${descriptor.size} bytes`, `${bytes.length}`);
  }
  const actual = digestOf(bytes);
  if (actual !== descriptor.digest) throw new VerificationError(`the digest of ${what}`, descriptor.digest, actual);
}

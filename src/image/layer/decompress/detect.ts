import { InvalidDocumentError } from "../../../util/errors.ts";
import type { Decompressor, PlainSink } from "./decompressor.ts";

/** Bytes of a stream's begin that {@link detectCompression} wants to see, unless the stream is shorter. */
export const magicSize = 10;

export type Compression = "gzip" | "zstd" | "none";

/**
 * How a layer is compressed, by its first bytes: media types are wrong often enough that no engine goes by them.
 * @throws InvalidDocumentError for compressions that the image specification does not have
 */
export function detectCompression(head: Uint8Array): Compression {
  const begin = Buffer.from(head).toString("latin1", 0, magicSize);
  if (begin.startsWith("\x1f\x8b")) return "gzip";
  if (begin.startsWith("\x28\xb5\x2f\xfd") || /^[\x50-\x5f]\x2a\x4d\x18/.test(begin)) return "zstd";
  if (/^BZh[1-9]1AY&SY/.test(begin)) throw unsupported("bzip2");
  if (begin.startsWith("\xfd7zXZ\0")) throw unsupported("xz");
  return "none";
}

function unsupported(name: string): InvalidDocumentError {
  return new InvalidDocumentError(`a layer is compressed with ${name}`, {
    hint: "layers may be plain, gzip or zstd; build the image again with one of these",
  });
}

/** The decompressor for a stream that begins with `head`, which it is still to be given. @throws InvalidDocumentError */
export async function createDecompressor(head: Uint8Array, sink: PlainSink): Promise<Decompressor> {
  switch (detectCompression(head)) {
    // node:zlib takes 3 ms to load: not for plain layers.
    case "gzip":
      return new (await import("./gzip.ts")).GzipDecompressor(sink);
    case "zstd":
      return new (await import("./zstd.ts")).ZstdDecompressor(sink);
    case "none":
      return {
        async write(bytes) {
          sink(bytes);
        },
        async finish() {},
        [Symbol.dispose]() {},
      };
  }
}

import { describe, expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { createDecompressor, detectCompression } from "../../../../../src/image/layer/decompress/detect.ts";
import { InvalidDocumentError } from "../../../../../src/util/errors.ts";

/** Numbers from a fixed generator: data that does not compress to nothing. */
function noise(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = 12345;
  for (let index = 0; index < size; index++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[index] = (state >>> 16) & 0x3f;
  }
  return bytes;
}

async function inflate(compressed: Uint8Array, chunkSize = compressed.length): Promise<Buffer> {
  const parts: Buffer[] = [];
  using decompressor = await createDecompressor(compressed, (bytes) => parts.push(Buffer.from(bytes)));
  for (let at = 0; at < compressed.length; at += chunkSize) {
    await decompressor.write(compressed.subarray(at, at + chunkSize));
  }
  await decompressor.finish();
  return Buffer.concat(parts);
}

const small = Buffer.from("hello, layer");
const large = noise(3_500_000);

describe("gzip", () => {
  test.each([1 << 18, 1000, 65_537])("comes out whole, in chunks of %d bytes", async (chunkSize) => {
    expect((await inflate(gzipSync(large, { level: 1 }), chunkSize)).equals(large)).toBe(true);
  });

  test("what inflates a thousandfold comes out whole", async () => {
    const zeros = Buffer.alloc(20_000_000);
    expect((await inflate(gzipSync(zeros))).equals(zeros)).toBe(true);
  });

  test("members follow each other, wherever the bytes are cut", async () => {
    const stream = Buffer.concat([gzipSync(small), gzipSync(Buffer.alloc(0)), gzipSync(large), gzipSync(small)]);
    for (const chunkSize of [stream.length, 4099]) {
      expect((await inflate(stream, chunkSize)).equals(Buffer.concat([small, large, small]))).toBe(true);
    }
    const short = Buffer.concat([gzipSync(small), gzipSync(small)]);
    expect((await inflate(short, 1)).toString()).toBe("hello, layerhello, layer");
  });

  test("a thousand small members, as seekable layers have them", async () => {
    const member = gzipSync(small);
    const stream = Buffer.concat(Array.from({ length: 1000 }, () => member));
    expect((await inflate(stream, 1 << 18)).length).toBe(1000 * small.length);
  });

  test("all parts of a header are passed over", async () => {
    const plain = gzipSync(small);
    const header = Buffer.from([0x1f, 0x8b, 8, 0x1f, 0, 0, 0, 0, 0, 3, 2, 0, 0xaa, 0xbb]);
    const stream = Buffer.concat([header, Buffer.from("name\0comment\0"), Buffer.from([0, 0]), plain.subarray(10)]);
    expect((await inflate(stream, 1)).equals(small)).toBe(true);
    expect((await inflate(stream)).equals(small)).toBe(true);
  });

  test.each([Buffer.alloc(512), Buffer.from("garbage"), Buffer.from([0x1f]), Buffer.from([0x1f, 0x1f])])(
    "what is no member behind the last is ignored (%#)",
    async (rest) => {
      const stream = Buffer.concat([gzipSync(small), rest]);
      expect((await inflate(stream)).equals(small)).toBe(true);
      expect((await inflate(stream, 1)).equals(small)).toBe(true);
    },
  );

  test("every truncation is an error", async () => {
    const stream = gzipSync(small);
    for (let length = 2; length < stream.length; length++) {
      await expect(inflate(stream.subarray(0, length))).rejects.toThrow(/cut off/);
    }
    const two = Buffer.concat([stream, stream]);
    for (let length = stream.length + 2; length < two.length; length++) {
      await expect(inflate(two.subarray(0, length))).rejects.toThrow(/cut off/);
    }
  });

  test.each([
    ["method", 2, 7],
    ["flags", 3, 0xe0],
    ["data", 12, 0xff],
    ["checksum", -8, 0xff],
    ["length", -4, 0xff],
  ])("a wrong %s is an error", async (_, at, value) => {
    const stream = gzipSync(small);
    stream[at < 0 ? stream.length + at : at] = value;
    await expect(inflate(stream)).rejects.toThrow(InvalidDocumentError);
  });
});

describe("zstd", () => {
  const skippable = Buffer.from([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);

  test.each([1 << 18, 1000])("comes out whole, in chunks of %d bytes", async (chunkSize) => {
    expect((await inflate(zstdCompressSync(large), chunkSize)).equals(large)).toBe(true);
  });

  test("frames follow each other, skippable ones are skipped", async () => {
    const frame = zstdCompressSync(small);
    const stream = Buffer.concat([skippable, frame, skippable, frame, skippable]);
    for (const chunkSize of [stream.length, 1]) {
      expect((await inflate(stream, chunkSize)).toString()).toBe("hello, layerhello, layer");
    }
  });

  test("what inflates a thousandfold comes out whole", async () => {
    const zeros = Buffer.alloc(20_000_000);
    expect((await inflate(zstdCompressSync(zeros))).equals(zeros)).toBe(true);
  });

  test("every truncation is an error", async () => {
    const stream = zstdCompressSync(small);
    for (let length = 4; length < stream.length; length++) {
      await expect(inflate(stream.subarray(0, length))).rejects.toThrow(InvalidDocumentError);
    }
  });

  test("anything behind the frames is an error", async () => {
    await expect(inflate(Buffer.concat([zstdCompressSync(small), Buffer.from("garbage")]))).rejects.toThrow(/no frame/);
  });
});

describe("the sink's error", () => {
  test.each([gzipSync(large), zstdCompressSync(large), large])("comes through (%#)", async (stream) => {
    using decompressor = await createDecompressor(stream, () => {
      throw new Error("no space");
    });
    const all = async () => {
      await decompressor.write(stream);
      await decompressor.finish();
    };
    await expect(all()).rejects.toThrow("no space");
  });
});

test("the first bytes tell the compression", () => {
  expect(detectCompression(gzipSync(small))).toBe("gzip");
  expect(detectCompression(zstdCompressSync(small))).toBe("zstd");
  expect(detectCompression(small)).toBe("none");
  expect(detectCompression(new Uint8Array(0))).toBe("none");
  expect(() => detectCompression(Buffer.from("BZh91AY&SY"))).toThrow(/bzip2/);
  expect(() => detectCompression(Buffer.from("\xfd7zXZ\0\0\0", "latin1"))).toThrow(/xz/);
});

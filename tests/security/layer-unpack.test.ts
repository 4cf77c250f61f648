import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { LayerUnpacker } from "../../src/image/layer/unpack.ts";
import type { Digest } from "../../src/oci/digest.ts";
import { InvalidDocumentError, SystemCallError, VerificationError } from "../../src/util/errors.ts";
import { makeTar } from "../helpers/tar.ts";
import { describeTree } from "../helpers/tree.ts";

const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.warn("layers are not unpacked: owners need root");
const base = isRoot ? mkdtempSync(join(tmpdir(), "gocker-unpack-")) : "";
let number = 0;

afterAll(() => rmSync(base, { recursive: true, force: true }));

function newDirectory(): string {
  const directory = join(base, String(number++));
  mkdirSync(directory);
  return directory;
}

/** 8 MB that do not compress, so that the Worker is needed whatever the format; and a small layer. */
const noise = crypto.getRandomValues(new Uint8Array(1 << 16));
const files = Array.from({ length: 128 }, (_, index) => ({
  name: `d/f${index}`,
  content: noise,
  mode: 0o666,
  mtime: 5,
}));
const large = makeTar([{ name: "d/", mode: 0o777, mtime: 6 }, ...files]);
const small = makeTar([{ name: "file", content: "hello", mode: 0o666 }]);
const digestOf = (bytes: Uint8Array): Digest => `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;

async function unpack(directory: string, bytes: Uint8Array, diffId: Digest, chunkSize = 100_000) {
  await using unpacker = LayerUnpacker.start({
    directory,
    mediaType: "application/vnd.oci.image.layer.v1.tar",
    diffId,
  });
  for (let at = 0; at < bytes.length; at += chunkSize) {
    const chunk = Uint8Array.from(bytes.subarray(at, at + chunkSize));
    await unpacker.write(chunk);
    // The unpacker has its own copy.
    chunk.fill(0);
  }
  return await unpacker.finish();
}

describe.skipIf(!isRoot)("LayerUnpacker", () => {
  test.each([
    ["plain", large],
    ["gzip", gzipSync(large, { level: 1 })],
    ["zstd", zstdCompressSync(large)],
  ])("unpacks a large %s layer in a Worker, with the image's modes", async (_, bytes) => {
    const directory = newDirectory();
    const layer = await unpack(directory, bytes, digestOf(large));
    expect(layer).toEqual({ diffId: digestOf(large), size: large.length, entries: 129, droppedXattrs: 0 });
    const lines = describeTree(directory, { ignoreRoot: true });
    expect(lines).toHaveLength(129);
    expect(lines[0]).toBe('"d" directory 0777 0:0 time=6000000000');
    expect(lines[1]).toStartWith('"d/f0" file 0666 0:0 time=5000000000 size=65536');
    // This thread's umask is its own.
    expect(process.umask()).toBe(0o22);
  });

  test.each([
    ["plain", small],
    ["gzip", gzipSync(small)],
    ["zstd", zstdCompressSync(small)],
    ["empty", new Uint8Array(0)],
  ])("unpacks a small %s layer here", async (_, bytes) => {
    const directory = newDirectory();
    const plain = bytes.length === 0 ? bytes : small;
    expect(await unpack(directory, bytes, digestOf(plain), 1)).toMatchObject({ diffId: digestOf(plain) });
    if (bytes.length > 0) expect(readFileSync(join(directory, "file"), "utf8")).toBe("hello");
  });

  test.each([
    ["small", small],
    ["large", large],
  ])("refuses a %s layer with another digest", async (_, bytes) => {
    const wrong = digestOf(noise);
    const error = await unpack(newDirectory(), bytes, wrong).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(VerificationError);
    expect(error).toMatchObject({ expected: wrong, actual: digestOf(bytes) });
  });

  test.each([
    ["cut off", gzipSync(large, { level: 1 }).subarray(0, 5_000_000), /cut off/],
    ["cut off early", gzipSync(small).subarray(0, -4), /cut off/],
    ["no tar", new Uint8Array(4_000_000).fill(65), /no tar archive/],
    ["an attack", Buffer.concat([makeTar([{ name: "../x" }]), large]), /outside of the image/],
  ])("refuses what is %s, without waiting for ever", async (_, bytes, reason) => {
    const error = await unpack(newDirectory(), bytes, digestOf(large)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InvalidDocumentError);
    expect((error as Error).message).toMatch(reason);
  });

  test.each([small, large])("says which system call failed (%#)", async (bytes) => {
    const error = await unpack(join(base, "missing"), bytes, digestOf(bytes)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SystemCallError);
    expect(error).toMatchObject({ errnoName: "ENOENT", path: join(base, "missing") });
  });

  test.each([0, 1_000, 1_500_000, 6_000_000])("can be given up after %d bytes, and writes no more", async (length) => {
    const directory = newDirectory();
    const unpacker = LayerUnpacker.start({ directory, mediaType: undefined, diffId: digestOf(large) });
    const bytes = gzipSync(large, { level: 1 }).subarray(0, length);
    for (let at = 0; at < bytes.length; at += 300_000) await unpacker.write(bytes.subarray(at, at + 300_000));
    await unpacker[Symbol.asyncDispose]();
    const before = describeTree(directory);
    await unpacker[Symbol.asyncDispose]();
    expect(describeTree(directory)).toEqual(before);
    await expect(unpacker.finish()).rejects.toThrow("disposed");
  });

  test("many at once do not disturb each other", async () => {
    const compressed = gzipSync(large, { level: 1 });
    const directories = Array.from({ length: 4 }, newDirectory);
    await Promise.all(directories.map((directory) => unpack(directory, compressed, digestOf(large))));
    const [first, ...others] = directories.map((directory) => describeTree(directory, { ignoreRoot: true }));
    for (const other of others) expect(other).toEqual(first as string[]);
  });
});

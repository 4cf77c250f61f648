import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { InvalidDocumentError, NotFoundError } from "../../util/errors.ts";
import { writeFully } from "../../util/atomic-file.ts";
import type { StorePaths } from "../paths.ts";

/** An archive from which any part can be read, as often as wanted. */
export interface ArchiveBytes extends Disposable {
  /** In bytes. */
  readonly size: number;
  /** Fills the buffer from `position` on, as far as there is something; returns how many bytes that were. */
  read(buffer: Uint8Array, position: number): number;
}

/** Where an archive comes from: a path, an open file (0 for stdin), bytes in memory, or a stream. */
export type ArchiveInput = string | number | Uint8Array | ReadableStream<Uint8Array>;

type Packing = "none" | "gzip" | "zstd";

const sniffedBytes = 6;

/**
 * Opens an image archive for reading. A plain file is read where it lies; what is compressed or comes as a stream is
 * first written out, plain, into a file without a name in the store's `tmp`.
 * @throws NotFoundError, InvalidDocumentError when it is packed in a way that gocker cannot unpack, or breaks off
 */
export async function openArchive(input: ArchiveInput, paths: StorePaths, signal: AbortSignal): Promise<ArchiveBytes> {
  if (input instanceof Uint8Array) {
    const packing = packingOf(input);
    return packing === "none" ? new MemoryBytes(input) : spool([input], packing, paths, signal);
  }
  if (input instanceof ReadableStream) return spoolStream(input, paths, signal);
  const file = typeof input === "number" ? input : openFile(input);
  const owned = typeof input === "string";
  try {
    const status = fstatSync(file);
    if (status.isDirectory()) {
      throw new InvalidDocumentError(`${input} is a directory, not an image archive`, {
        hint: "pack its content with tar, or copy it into a registry",
      });
    }
    if (!status.isFile()) return await spoolStream(Bun.file(file).stream(), paths, signal);
    const bytes = new FileBytes(file, status.size, owned);
    const start = new Uint8Array(sniffedBytes);
    const packing = packingOf(start.subarray(0, bytes.read(start, 0)));
    if (packing === "none") return bytes;
    using _ = bytes;
    return await spool(chunksOf(bytes, 0, bytes.size), packing, paths, signal);
  } catch (error) {
    if (owned && !isClosed(file)) closeSync(file);
    throw error;
  }
}

/** The bytes from `start` to `end` in pieces, each in a buffer of its own. */
export function* chunksOf(bytes: ArchiveBytes, start: number, end: number): Generator<Uint8Array, void> {
  for (let at = start; at < end;) {
    const buffer = new Uint8Array(Math.min(chunkSize, end - at));
    const length = bytes.read(buffer, at);
    if (length === 0) throw new InvalidDocumentError("the archive became shorter while it was read");
    yield buffer.subarray(0, length);
    at += length;
  }
}

const chunkSize = 256 * 1024;

class MemoryBytes implements ArchiveBytes {
  readonly size: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.size = bytes.length;
  }

  read(buffer: Uint8Array, position: number): number {
    const part = this.#bytes.subarray(position, position + buffer.length);
    buffer.set(part);
    return part.length;
  }

  [Symbol.dispose](): void {}
}

class FileBytes implements ArchiveBytes {
  readonly size: number;
  readonly #owned: boolean;
  #file: number | undefined;

  constructor(file: number, size: number, owned: boolean) {
    this.#file = file;
    this.size = size;
    this.#owned = owned;
  }

  read(buffer: Uint8Array, position: number): number {
    if (this.#file === undefined) throw new Error("the archive is closed");
    return readSync(this.#file, buffer, 0, buffer.length, position);
  }

  [Symbol.dispose](): void {
    if (this.#owned && this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
    throw new NotFoundError(`there is no file ${path}`, { cause: error });
  }
}

/** How a file is packed, by its first bytes. */
export function packingOf(start: Uint8Array): Packing {
  const begins = (...magic: number[]) => magic.every((byte, position) => start[position] === byte);
  if (begins(0x1f, 0x8b)) return "gzip";
  if (begins(0x28, 0xb5, 0x2f, 0xfd)) return "zstd";
  if (begins(0xfd, 0x37, 0x7a, 0x58, 0x5a)) throw unsupported("xz", "xz -d");
  if (begins(0x42, 0x5a, 0x68)) throw unsupported("bzip2", "bunzip2");
  return "none";
}

function unsupported(packing: string, program: string): InvalidDocumentError {
  return new InvalidDocumentError(`it is compressed with ${packing}, which gocker does not unpack`, {
    hint: `unpack it with ${program} first, or use gzip or zstd`,
  });
}

async function spoolStream(
  stream: ReadableStream<Uint8Array>,
  paths: StorePaths,
  signal: AbortSignal,
): Promise<ArchiveBytes> {
  const chunks = stream[Symbol.asyncIterator]();
  let start: Uint8Array = new Uint8Array();
  while (start.length < sniffedBytes) {
    const next = await chunks.next();
    if (next.done === true) break;
    start = Buffer.concat([start, next.value]);
  }
  async function* whole() {
    yield start;
    yield* { [Symbol.asyncIterator]: () => chunks };
  }
  return spool(whole(), packingOf(start), paths, signal);
}

/** Writes the plain archive into a file that has no name and so is gone with this process. O_TMPFILE of open(2) */
async function spool(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  packing: Packing,
  paths: StorePaths,
  signal: AbortSignal,
): Promise<ArchiveBytes> {
  paths.create();
  const temporaryFile = 0o20000000 | constants.O_DIRECTORY;
  const file = openSync(paths.temporary, temporaryFile | constants.O_RDWR, 0o600);
  try {
    for await (const chunk of packing === "none" ? chunks : unpacked(chunks, packing)) {
      signal.throwIfAborted();
      writeFully(file, chunk);
    }
    return new FileBytes(file, fstatSync(file).size, true);
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

async function* unpacked(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  packing: Exclude<Packing, "none">,
): AsyncGenerator<Uint8Array> {
  const { createGunzip, createZstdDecompress } = await import("node:zlib");
  const { pipeline, Readable } = await import("node:stream");
  const unpacker = packing === "gzip" ? createGunzip({ chunkSize }) : createZstdDecompress({ chunkSize });
  let failure: Error | undefined;
  pipeline(Readable.from(chunks), unpacker, (error) => {
    failure = error ?? undefined;
  });
  try {
    for await (const chunk of unpacker) yield chunk as Uint8Array;
  } catch (error) {
    throw new InvalidDocumentError(`its ${packing} data is damaged`, { cause: failure ?? error });
  }
}

function isClosed(file: number): boolean {
  try {
    fstatSync(file);
    return false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EBADF") return true;
    throw error;
  }
}

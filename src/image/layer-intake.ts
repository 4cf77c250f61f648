import { closeSync, constants, mkdirSync, chmodSync, openSync, readSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { writeFully } from "../util/atomic-file.ts";
import { GockerError, SystemCallError } from "../util/errors.ts";
import { BlobMismatchError } from "./errors.ts";

/** One layer of an image: the blob that holds it, and the digest of the tar archive in there. */
export interface Layer {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
}

/** Unpacks one layer while its blob arrives: see `LayerUnpacker`. */
export interface Unpacker extends AsyncDisposable {
  write(chunk: Uint8Array): Promise<void>;
  finish(): Promise<{ diffId: Digest; size: number; entries: number }>;
}

/** Begins to unpack into an empty directory. */
export type StartUnpacker = (options: {
  directory: string;
  mediaType: string;
  diffId: Digest;
}) => Unpacker | Promise<Unpacker>;

/** Where a layer's bytes go. */
export interface IntakeOptions {
  readonly layer: Layer;
  /** Keep the blob's bytes in this file; what it holds is taken in first. */
  readonly keepIn?: string | undefined;
  /** Unpack into this directory, which is made for it. */
  readonly unpackInto?: string | undefined;
  readonly startUnpacker: StartUnpacker;
  readonly onUnpacked?: ((bytes: number) => void) | undefined;
}

const readSize = 256 * 1024;

/**
 * Takes in a blob in the order of its bytes, however many sources they come from: hashes it, keeps it in a file and
 * unpacks it, as far as wanted. When it is disposed of before {@link finish}, the unpacked directory is removed and the
 * file stays, for being resumed.
 */
export class LayerIntake implements AsyncDisposable {
  readonly #options: IntakeOptions;
  readonly #unpacker: Unpacker | undefined;
  readonly #file: number | undefined;
  readonly #hash = new Bun.CryptoHasher("sha256");
  #received = 0;
  #unpackFailure: { error: unknown } | undefined;

  private constructor(options: IntakeOptions, unpacker: Unpacker | undefined, file: number | undefined) {
    this.#options = options;
    this.#unpacker = unpacker;
    this.#file = file;
  }

  static async open(options: IntakeOptions): Promise<LayerIntake> {
    const { layer, keepIn, unpackInto: directory } = options;
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
    const file = keepIn === undefined ? undefined : openSync(keepIn, flags, 0o644);
    try {
      if (directory === undefined) return new LayerIntake(options, undefined, file);
      await rm(directory, { recursive: true, force: true });
      mkdirSync(directory);
      chmodSync(directory, 0o755);
      const { mediaType } = layer.descriptor;
      const unpacker = await options.startUnpacker({ directory, mediaType, diffId: layer.diffId });
      return new LayerIntake(options, unpacker, file);
    } catch (error) {
      if (file !== undefined) closeSync(file);
      throw error;
    }
  }

  /** How many bytes of the blob have been taken in. */
  get received(): number {
    return this.#received;
  }

  /** Takes in what {@link IntakeOptions.keepIn} held when it was opened. */
  takeKept(signal: AbortSignal): Promise<void> {
    return this.#file === undefined ? Promise.resolve() : this.#takeFile(this.#file, signal);
  }

  /** Takes in a whole file. */
  async takeFile(path: string, signal: AbortSignal): Promise<void> {
    const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      await this.#takeFile(file, signal);
    } finally {
      closeSync(file);
    }
  }

  /** Takes in the next bytes. The chunk is the intake's from now on. Resolves when there is room for more. */
  async take(chunk: Uint8Array): Promise<void> {
    this.#checkRoom(chunk.length);
    if (this.#file !== undefined) writeFully(this.#file, chunk, this.#received);
    await this.#digestAndUnpack(chunk);
  }

  /**
   * Checks that all has come and was right, first the blob itself: when its bytes are wrong, whatever the unpacker
   * stumbled over is a consequence.
   * @throws VerificationError for a wrong size or digest, what the unpacker throws
   */
  async finish(): Promise<{ size: number; entries: number } | undefined> {
    const { digest, size } = this.#options.layer.descriptor;
    if (this.#received !== size) {
      throw new BlobMismatchError(`the size of layer ${digest}`, `${size} bytes`, `${this.#received}`);
    }
    const actual = `sha256:${this.#hash.digest("hex")}`;
    if (actual !== digest) {
      throw new BlobMismatchError(`the digest of layer ${digest}`, digest, actual, {
        cause: this.#unpackFailure?.error,
        hint: "the registry or something before it gives out other bytes than the image's manifest promises",
      });
    }
    if (this.#unpackFailure !== undefined) throw this.#unpackFailure.error;
    return this.#unpacker?.finish();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#file !== undefined) closeSync(this.#file);
    await this.#unpacker?.[Symbol.asyncDispose]();
    if (this.#options.unpackInto !== undefined) await rm(this.#options.unpackInto, { recursive: true, force: true });
  }

  async #takeFile(file: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      // A buffer for each chunk: the unpacker gives it to another thread.
      const buffer = new Uint8Array(readSize);
      const length = readSync(file, buffer, 0, readSize, this.#received);
      if (length === 0) return;
      this.#checkRoom(length);
      await this.#digestAndUnpack(buffer.subarray(0, length));
    }
  }

  #checkRoom(length: number): void {
    const { digest, size } = this.#options.layer.descriptor;
    if (this.#received + length > size) {
      throw new BlobMismatchError(`the size of layer ${digest}`, `${size} bytes`, "more");
    }
  }

  async #digestAndUnpack(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk);
    this.#received += chunk.length;
    if (this.#unpacker === undefined || this.#unpackFailure !== undefined) return;
    try {
      await this.#unpacker.write(chunk);
      this.#options.onUnpacked?.(this.#received);
    } catch (error) {
      // A layer that breaks the rules is read on to its end, because only its digest tells whether the image is bad or
      // the transport. For want of space or rights there is nothing to find out.
      if (!(error instanceof GockerError) || error instanceof SystemCallError) throw error;
      this.#unpackFailure = { error };
    }
  }
}

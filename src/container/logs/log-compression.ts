import { createReadStream, createWriteStream, fstatSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { setModificationTime } from "../../linux/modification-time.ts";

/**
 * Compresses the rotated files of a log, one at a time and in the background. A file may be renamed or removed meanwhile:
 * it is known by its time, which is its own (`RotatedFiles`), and not by its inode, which a newer file may have got.
 */
export class LogCompression implements Disposable {
  readonly #path: string;
  readonly #maximum: number;
  readonly #onError: (error: unknown) => void;
  readonly #abort = new AbortController();
  #isBusy = false;

  /** @param maximum the greatest number of a rotated file */
  constructor(path: string, maximum: number, onError: (error: unknown) => void) {
    this.#path = path;
    this.#maximum = maximum;
    this.#onError = onError;
  }

  /** Compresses what is there uncompressed, and what is put aside until it is done with that. */
  start(): void {
    if (this.#isBusy || this.#uncompressed() === undefined) return;
    this.#isBusy = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    try {
      await this.#compressAll();
    } catch (error) {
      // It stays uncompressed, which readers do not mind; the next rotation tries again.
      if (!this.#abort.signal.aborted) this.#onError(error);
    } finally {
      this.#isBusy = false;
    }
  }

  async #compressAll(): Promise<void> {
    const compress = await loadCompressor();
    try {
      for (let number = this.#uncompressed(); number !== undefined; number = this.#uncompressed()) {
        await this.#compress(number, compress);
      }
    } finally {
      // After disposal it may be another one's.
      if (!this.#abort.signal.aborted) rmSync(this.#unfinished, { force: true });
    }
  }

  get #unfinished(): string {
    return `${this.#path}.gz.new`;
  }

  #numberOf(isIt: (stat: { readonly mtimeNs: bigint }) => boolean): number | undefined {
    for (let number = 1; number <= this.#maximum; number++) {
      const stat = statSync(`${this.#path}.${number}`, { bigint: true, throwIfNoEntry: false });
      if (stat !== undefined && isIt(stat)) return number;
    }
    return undefined;
  }

  #uncompressed(): number | undefined {
    return this.#abort.signal.aborted ? undefined : this.#numberOf(() => true);
  }

  async #compress(number: number, compress: Compressor): Promise<void> {
    const fd = openSync(`${this.#path}.${number}`, "r");
    const time = fstatSync(fd, { bigint: true }).mtimeNs;
    await compress(fd, this.#unfinished, this.#abort.signal);
    // From here on nothing else of this process comes in between, and nobody else renames.
    const present = this.#numberOf(({ mtimeNs }) => mtimeNs === time);
    if (present === undefined) return;
    setModificationTime(this.#unfinished, time);
    renameSync(this.#unfinished, `${this.#path}.${present}.gz`);
    rmSync(`${this.#path}.${present}`);
  }

  [Symbol.dispose](): void {
    this.#abort.abort();
    if (this.#isBusy) rmSync(this.#unfinished, { force: true });
  }
}

/** Compresses what is open as `source`, which it closes, into a new file. */
type Compressor = (source: number, path: string, signal: AbortSignal) => Promise<void>;

/** Loaded when there is something to compress, as it takes milliseconds. */
async function loadCompressor(): Promise<Compressor> {
  const [{ createGzip, constants }, { pipeline }] = await Promise.all([
    import("node:zlib"),
    import("node:stream/promises"),
  ]);
  return async (source, path, signal) => {
    // A flood is to be compressed about as fast as it comes.
    const gzip = createGzip({ level: constants.Z_BEST_SPEED });
    await pipeline(createReadStream("", { fd: source }), gzip, createWriteStream(path, { mode: 0o600 }), { signal });
  };
}

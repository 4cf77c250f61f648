import { existsSync, renameSync, rmSync, statSync } from "node:fs";
import { setModificationTime } from "../../linux/modification-time.ts";
import type { RotationOptions } from "./log-options.ts";
import { LogCompression } from "./log-compression.ts";
import { rotatedNames } from "./rotated-names.ts";

/**
 * The files of a log that are not written to any more: `.1` is the newest. Their times of modification are never equal
 * and grow with them, by which a reader that follows knows what comes after the file that it has read, whatever its
 * name is meanwhile and whether it was compressed.
 */
export class RotatedFiles implements Disposable {
  readonly #path: string;
  readonly #maximum: number;
  readonly #compression: LogCompression | undefined;
  #newest: bigint;

  /** @param path of the file that is written to */
  constructor(path: string, { maximumFiles, compress }: RotationOptions) {
    this.#path = path;
    this.#maximum = maximumFiles - 1;
    this.#newest = this.#maximum === 0 ? 0n : newestOf(path);
    this.#compression = compress ? new LogCompression(path, this.#maximum) : undefined;
  }

  /**
   * Takes the file that was written to. Each step leaves its target free for the next one, so that a name never stands
   * for two files; what is cut off between two steps has a gap in the numbers and nothing else.
   * @throws SystemCallError, or what node:fs throws
   */
  take(): void {
    const path = this.#path;
    if (this.#maximum === 0) return rmSync(path, { force: true });
    for (const suffix of ["", ".gz"]) rmSync(`${path}.${this.#maximum}${suffix}`, { force: true });
    for (const { number, suffix } of rotatedNames(path).toReversed()) {
      if (number < this.#maximum) renameIfThere(`${path}.${number}${suffix}`, `${path}.${number + 1}${suffix}`);
    }
    // Somebody has removed it.
    if (!existsSync(path)) return;
    const microsecond = 1000n;
    const now = BigInt(Date.now()) * 1_000_000n;
    this.#newest = now > this.#newest ? now : this.#newest + microsecond;
    setModificationTime(path, this.#newest);
    renameSync(path, `${path}.1`);
  }

  /**
   * Compresses a part of what is not compressed.
   * @returns whether there may be more
   * @throws SystemCallError, or what node:fs throws
   */
  compress(): boolean {
    return this.#compression?.step() ?? false;
  }

  [Symbol.dispose](): void {
    this.#compression?.[Symbol.dispose]();
  }
}

/** The time of the newest file that was put aside: 0 when there is none. */
function newestOf(path: string): bigint {
  const first = [`${path}.1`, `${path}.1.gz`].map((name) => statSync(name, { bigint: true, throwIfNoEntry: false }));
  return first.find((stat) => stat !== undefined)?.mtimeNs ?? 0n;
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

import { closeSync, fstatSync, openSync, readSync, renameSync, rmSync, statSync } from "node:fs";
import { setModificationTime } from "../../linux/modification-time.ts";
import { writeFully } from "../../util/atomic-file.ts";
import { logNumber, setLogNumber } from "./log-number.ts";
import { rotatedNames } from "./rotated-names.ts";

/** What is compressed at once; takes some milliseconds. */
const slice = 256 * 1024;

/** A file that is being compressed. */
interface Work {
  readonly source: number;
  readonly target: number;
  /** By which it is known: others may have its inode one day, and its name changes. See `RotatedFiles`. */
  readonly time: bigint;
  readonly bytes: Uint8Array<ArrayBuffer>;
  position: number;
}

/**
 * Compresses the rotated files of a log little by little: its writer has no time of its own, and must not be kept from
 * writing for as long as a whole file takes. A file may be renamed or removed meanwhile. Each part is a member of the gzip
 * file, of which it may have many. RFC 1952, 2.2
 */
export class LogCompression implements Disposable {
  readonly #path: string;
  readonly #maximum: number;
  #work: Work | undefined;

  /** @param maximum the greatest number of a rotated file */
  constructor(path: string, maximum: number) {
    this.#path = path;
    this.#maximum = maximum;
  }

  /**
   * Goes on with one of the files that are not compressed yet.
   * @returns false when there is none
   * @throws SystemCallError, or what node:fs throws: the file stays as it is
   */
  step(): boolean {
    try {
      this.#work ??= this.#begin();
      if (this.#work === undefined) return false;
      this.#compress(this.#work);
      return true;
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  #begin(): Work | undefined {
    const number = this.#find(() => true);
    if (number === undefined) return undefined;
    const source = openSync(`${this.#path}.${number}`, "r");
    try {
      const time = fstatSync(source, { bigint: true }).mtimeNs;
      const target = openSync(this.#unfinished, "w", 0o600);
      return { source, target, time, bytes: new Uint8Array(slice), position: 0 };
    } catch (error) {
      closeSync(source);
      throw error;
    }
  }

  #compress(work: Work): void {
    const { bytes } = work;
    const count = readSync(work.source, bytes, 0, slice, work.position);
    // The fastest level: a flood is to be compressed as it comes.
    if (count > 0) writeFully(work.target, Bun.gzipSync(bytes.subarray(0, count), { level: 1 }));
    work.position += count;
    if (count < slice) this.#finish(work);
  }

  #finish(work: Work): void {
    const number = this.#find((time) => time === work.time);
    if (number !== undefined) {
      setLogNumber(work.target, logNumber(work.source));
      setModificationTime(this.#unfinished, work.time);
      renameSync(this.#unfinished, `${this.#path}.${number}.gz`);
      rmSync(`${this.#path}.${number}`);
    }
    this[Symbol.dispose]();
  }

  /** The number of the newest file that is not compressed and of such a time. */
  #find(isIt: (time: bigint) => boolean): number | undefined {
    for (const { number, suffix } of rotatedNames(this.#path)) {
      if (suffix !== "" || number > this.#maximum) continue;
      const stat = statSync(`${this.#path}.${number}`, { bigint: true, throwIfNoEntry: false });
      if (stat !== undefined && isIt(stat.mtimeNs)) return number;
    }
    return undefined;
  }

  get #unfinished(): string {
    return `${this.#path}.gz.new`;
  }

  /** Leaves the file that is in work as it is. */
  [Symbol.dispose](): void {
    if (this.#work === undefined) return;
    closeSync(this.#work.source);
    closeSync(this.#work.target);
    this.#work = undefined;
    rmSync(this.#unfinished, { force: true });
  }
}

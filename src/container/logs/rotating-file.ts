import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { logNumber, setLogNumber } from "./log-number.ts";
import type { RotationOptions } from "./log-options.ts";
import { RotatedFiles } from "./rotated-files.ts";

const { O_APPEND, O_CREAT, O_RDWR, O_TRUNC } = constants;
const newline = 0x0a;

/**
 * A file of lines that only grows, until it is put aside as `.1` and a new one is begun. A reader finds every line in one
 * of the files at any moment, and a kill at any moment leaves at most one line that is not whole, at the end, which the
 * next {@link RotatingFile.open} takes away.
 */
export class RotatingFile implements Disposable {
  readonly #path: string;
  readonly #options: RotationOptions;
  readonly #rotated: RotatedFiles;
  #fd: number;
  #size: number;
  /** There may be something to compress: an earlier writer may have left it. */
  #hasMore = true;

  private constructor(path: string, options: RotationOptions, rotated: RotatedFiles, fd: number) {
    this.#path = path;
    this.#options = options;
    this.#rotated = rotated;
    this.#fd = fd;
    this.#size = fstatSync(fd).size;
  }

  /** @throws what node:fs throws */
  static open(path: string, options: RotationOptions): RotatingFile {
    const fd = openSync(path, O_RDWR | O_APPEND | O_CREAT, 0o600);
    try {
      cutTornLine(fd);
      return new RotatingFile(path, options, new RotatedFiles(path, options), fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Whether {@link rotate} is due when so many bytes more are in it. */
  isFull(more: number): boolean {
    return this.#options.maximumSize !== undefined && this.#size + more >= this.#options.maximumSize;
  }

  /**
   * Appends the first `count` bytes, which are whole lines: all of them or none.
   * @throws what node:fs throws
   */
  append(bytes: Uint8Array, count: number): void {
    try {
      for (let done = 0; done < count;) done += writeSync(this.#fd, bytes, done, count - done);
    } catch (error) {
      // Half a line would spoil the next one too.
      ftruncateSync(this.#fd, this.#size);
      throw error;
    }
    this.#size += count;
  }

  /**
   * Puts the file aside and begins a new one. Should it fail, the old one goes on.
   * @throws SystemCallError, or what node:fs throws
   */
  rotate(): void {
    const fresh = `${this.#path}.new`;
    const fd = openSync(fresh, O_RDWR | O_APPEND | O_CREAT | O_TRUNC, 0o600);
    try {
      setLogNumber(fd, logNumber(this.#fd) + 1);
      this.#rotated.take();
      renameSync(fresh, this.#path);
    } catch (error) {
      closeSync(fd);
      rmSync(fresh, { force: true });
      throw error;
    }
    closeSync(this.#fd);
    this.#fd = fd;
    this.#size = 0;
    this.#hasMore = true;
  }

  /**
   * Compresses a part of what was put aside.
   * @returns whether there may be more
   * @throws SystemCallError, or what node:fs throws: it is tried again when the next file is put aside
   */
  compress(): boolean {
    if (!this.#hasMore) return false;
    this.#hasMore = false;
    this.#hasMore = this.#rotated.compress();
    return this.#hasMore;
  }

  [Symbol.dispose](): void {
    this.#rotated[Symbol.dispose]();
    closeSync(this.#fd);
  }
}

/** A writer that was killed within its last write has left a part of it. */
function cutTornLine(fd: number): void {
  const { size } = fstatSync(fd);
  const last = new Uint8Array(1);
  if (size === 0 || (readSync(fd, last, 0, 1, size - 1) === 1 && last[0] === newline)) return;
  const block = new Uint8Array(64 * 1024);
  let end = size;
  while (end > 0) {
    const start = Math.max(0, end - block.length);
    const count = readSync(fd, block, 0, end - start, start);
    const found = block.subarray(0, count).lastIndexOf(newline);
    if (found >= 0) {
      end = start + found + 1;
      break;
    }
    end = start;
  }
  ftruncateSync(fd, end);
}

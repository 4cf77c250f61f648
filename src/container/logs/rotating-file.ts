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

  private constructor(path: string, options: RotationOptions, rotated: RotatedFiles, fd: number) {
    this.#path = path;
    this.#options = options;
    this.#rotated = rotated;
    this.#fd = fd;
    this.#size = fstatSync(fd).size;
  }

  /**
   * @param onError told of what fails beside the writing
   * @throws what node:fs throws
   */
  static open(path: string, options: RotationOptions, onError: (error: unknown) => void): RotatingFile {
    const fd = openSync(path, O_RDWR | O_APPEND | O_CREAT, 0o600);
    try {
      cutTornLine(fd);
      return new RotatingFile(path, options, new RotatedFiles(path, options, onError), fd);
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
   * @throws what node:fs throws
   */
  rotate(): void {
    const fresh = `${this.#path}.new`;
    const fd = openSync(fresh, O_RDWR | O_APPEND | O_CREAT | O_TRUNC, 0o600);
    try {
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
    this.#rotated.compress();
  }

  [Symbol.dispose](): void {
    this.#rotated[Symbol.dispose]();
    closeSync(this.#fd);
  }
}

/** A writer that was killed within its last write has left a part of it. */
function cutTornLine(fd: number): void {
  const { size } = fstatSync(fd);
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
  if (end < size) ftruncateSync(fd, end);
}

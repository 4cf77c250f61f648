import { type BigIntStats, fstatSync } from "node:fs";
import { type ByteString, namesIn, openDirectory, tryOpenAt } from "./at.ts";
import { O_DIRECTORY, O_PATH, O_RDONLY, S_IFDIR } from "./constants.ts";
import type { OwnedFd } from "./fd.ts";
import { isType } from "./file-type.ts";

/** The size of what st_blocks counts, whatever the file system's own blocks are. stat(3type) */
const blockSize = 512n;

/**
 * The bytes of the files in a directory and below: without the directories themselves, holes in files left out, and a
 * file that has several names counted once. Links are not followed, and what is removed meanwhile does not count.
 * @throws SystemCallError
 */
export function diskUsage(path: string): number {
  using walk = new Walk(openDirectory(path));
  return Number(walk.sum());
}

/** A directory on the way, with the names in it that are still to be looked at. */
interface Level {
  readonly fd: OwnedFd;
  readonly names: ByteString[];
}

class Walk implements Disposable {
  readonly #levels: Level[] = [];
  readonly #seen = new Set<string>();

  constructor(top: OwnedFd) {
    this.#enter(top);
  }

  /** Not by recursion: a container makes trees as deep as it likes. */
  sum(): bigint {
    let sum = 0n;
    for (let level = this.#levels.at(-1); level !== undefined; level = this.#levels.at(-1)) {
      const name = level.names.pop();
      if (name === undefined) this.#levels.pop()?.fd.close();
      else sum += this.#sizeOf(level.fd, name);
    }
    return sum;
  }

  #enter(fd: OwnedFd): void {
    const level: Level = { fd, names: [] };
    this.#levels.push(level);
    level.names.push(...namesIn(fd.number));
  }

  /** Of a file; a directory is entered instead. */
  #sizeOf(parent: OwnedFd, name: ByteString): bigint {
    using entry = tryOpenAt(parent.number, name, O_PATH);
    if (entry === undefined) return 0n;
    const stat = fstatSync(entry.number, { bigint: true });
    if (isType(stat, S_IFDIR)) {
      const directory = tryOpenAt(entry.number, ".", O_RDONLY | O_DIRECTORY);
      if (directory !== undefined) this.#enter(directory);
      return 0n;
    }
    if (!this.#isFirstName(stat)) return 0n;
    const onDisk = stat.blocks * blockSize;
    return stat.size < onDisk ? stat.size : onDisk;
  }

  #isFirstName({ nlink, dev, ino }: BigIntStats): boolean {
    if (nlink < 2n) return true;
    const identity = `${dev}:${ino}`;
    if (this.#seen.has(identity)) return false;
    this.#seen.add(identity);
    return true;
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#levels) fd.close();
  }
}

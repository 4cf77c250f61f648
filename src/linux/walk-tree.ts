import { type BigIntStats, fstatSync } from "node:fs";
import { type ByteString, namesIn, reopen, tryOpenAt } from "./at.ts";
import { O_DIRECTORY, O_PATH, O_RDONLY, S_IFDIR } from "./constants.ts";
import type { OwnedFd } from "./fd.ts";
import { isType } from "./file-type.ts";

/** How many directories on one path are open at once; those above are found again by their names. */
const mostOpen = 64;

/**
 * Calls back for a file, or for a directory and everything in it: parents before what lies in them. Nothing is followed,
 * nothing but directories is opened, and other file systems that are mounted in it are left out. Others may work in the
 * tree meanwhile: what they move away is passed over.
 *
 * Not by recursion with a descriptor for each level: a container may make directories deeper than a process may have files
 * open.
 * @param top O_PATH will do; stays open
 * @param visit gets an O_PATH descriptor that is closed after it
 * @throws SystemCallError
 */
export function walkTree(top: OwnedFd, visit: (fd: OwnedFd, stat: BigIntStats) => void): void {
  const stat = fstatSync(top.number, { bigint: true });
  visit(top, stat);
  if (isType(stat, S_IFDIR)) new TreeWalk(top, stat.dev, visit).run();
}

/** A directory that is being walked, and what of it is still to be visited. */
interface Level {
  readonly name: ByteString;
  /** What its descriptor must lead to when it is opened again. */
  readonly inode: bigint;
  readonly rest: ByteString[];
  fd: OwnedFd | undefined;
}

class TreeWalk {
  readonly #top: OwnedFd;
  readonly #device: bigint;
  readonly #visit: (fd: OwnedFd, stat: BigIntStats) => void;
  readonly #levels: Level[] = [];

  constructor(top: OwnedFd, device: bigint, visit: (fd: OwnedFd, stat: BigIntStats) => void) {
    this.#top = top;
    this.#device = device;
    this.#visit = visit;
  }

  run(): void {
    try {
      const stat = fstatSync(this.#top.number, { bigint: true });
      this.#enter("", stat.ino, reopen(this.#top.number, O_RDONLY | O_DIRECTORY));
      for (let level = this.#levels.at(-1); level !== undefined; level = this.#levels.at(-1)) {
        const name = level.rest.pop();
        if (name === undefined) this.#leave();
        else this.#step(level, name);
      }
    } finally {
      for (const { fd } of this.#levels) fd?.close();
    }
  }

  #step(level: Level, name: ByteString): void {
    const directory = this.#open(level);
    if (directory === undefined) {
      level.rest.length = 0;
      return;
    }
    using file = tryOpenAt(directory.number, name, O_PATH);
    if (file === undefined) return;
    const stat = fstatSync(file.number, { bigint: true });
    if (stat.dev !== this.#device) return;
    this.#visit(file, stat);
    if (isType(stat, S_IFDIR)) this.#enter(name, stat.ino, reopen(file.number, O_RDONLY | O_DIRECTORY));
  }

  #enter(name: ByteString, inode: bigint, fd: OwnedFd): void {
    this.#levels.push({ name, inode, rest: namesIn(fd.number), fd });
    const far = this.#levels.at(-1 - mostOpen);
    far?.fd?.close();
    if (far !== undefined) far.fd = undefined;
  }

  #leave(): void {
    this.#levels.pop()?.fd?.close();
  }

  /**
   * The directory of the last level. When it was closed, those before it are opened again too, as they are needed next.
   * Undefined when it is there no more.
   */
  #open(level: Level): OwnedFd | undefined {
    if (level.fd !== undefined) return level.fd;
    const kept = this.#levels.length - mostOpen;
    let current = reopen(this.#top.number, O_RDONLY | O_DIRECTORY);
    let isKept = false;
    for (const [index, one] of this.#levels.entries()) {
      const next = index === 0 ? current : this.#openAgain(current, one);
      if (!isKept && next !== current) current.close();
      if (next === undefined) return undefined;
      current = next;
      isKept = index >= kept;
      if (isKept) one.fd = current;
    }
    return level.fd;
  }

  #openAgain(parent: OwnedFd, { name, inode }: Level): OwnedFd | undefined {
    using found = tryOpenAt(parent.number, name, O_PATH);
    if (found === undefined) return undefined;
    const stat = fstatSync(found.number, { bigint: true });
    if (stat.ino !== inode || stat.dev !== this.#device || !isType(stat, S_IFDIR)) return undefined;
    return reopen(found.number, O_RDONLY | O_DIRECTORY);
  }
}

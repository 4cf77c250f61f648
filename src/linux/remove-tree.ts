import { fstatSync } from "node:fs";
import { AT_REMOVEDIR, type ByteString, fromByteString, moveAt, namesIn, openAt, tryOpenAt, unlinkAt } from "./at.ts";
import { O_DIRECTORY, O_PATH, O_RDONLY, S_IFDIR } from "./constants.ts";
import { errnos, systemCallError } from "./errno.ts";
import { isType } from "./file-type.ts";

/** How deep the walk goes before it moves what is deeper to the top: bounds the descriptors that are open at once. */
const maximumDepth = 100;

/** The sizes of the files that a removal was the end of: those of which no other name is left. */
export interface Freed {
  bytes: number;
}

/**
 * Removes a file or a directory with everything in it, whatever a container left there: links are removed and never
 * followed, names need not be UTF-8, and trees may be deeper than any path can say. What is mounted in it is an error and
 * is not entered. That nothing is there is no error.
 * @param parent a directory that the container has no hand in any more
 * @param freed counts what was removed, which takes its time
 * @throws SystemCallError something cannot be removed; what is left can be tried again
 */
export function removeTreeAt(parent: number, name: ByteString, freed?: Freed): void {
  const result = removeNameAt(parent, name, freed);
  if (result === 0) return;
  if (result !== errnos.ENOTEMPTY) throw systemCallError("unlinkat", { path: fromByteString(name) }, result);
  using top = openAt(parent, name, O_RDONLY | O_DIRECTORY);
  const walk = new Removal(top.number, freed);
  for (let names = namesIn(top.number); names.length > 0; names = namesIn(top.number)) {
    walk.empty(top.number, names, 0);
  }
  const last = unlinkAt(parent, name, AT_REMOVEDIR);
  if (last !== 0) throw systemCallError("unlinkat", { path: fromByteString(name) }, last);
}

/** Removes a file or an empty directory. Returns the error number, ENOTEMPTY for a directory with something in it. */
function removeNameAt(parent: number, name: ByteString, freed: Freed | undefined): number {
  const size = freed === undefined ? 0 : sizeOfLast(parent, name);
  const result = unlinkAt(parent, name);
  if (result === 0 && freed !== undefined) freed.bytes += size;
  return result === errnos.EISDIR ? unlinkAt(parent, name, AT_REMOVEDIR) : result;
}

/** The size of a file that has no other name; else 0. */
function sizeOfLast(parent: number, name: ByteString): number {
  using file = tryOpenAt(parent, name, O_PATH);
  if (file === undefined) return 0;
  const stat = fstatSync(file.number, { bigint: true });
  return stat.nlink > 1n || isType(stat, S_IFDIR) ? 0 : Number(stat.size);
}

class Removal {
  readonly #top: number;
  readonly #freed: Freed | undefined;
  #moved = 0;

  constructor(top: number, freed: Freed | undefined) {
    this.#top = top;
    this.#freed = freed;
  }

  empty(directory: number, names: readonly ByteString[], depth: number): void {
    for (const name of names) {
      const result = removeNameAt(directory, name, this.#freed);
      if (result === 0) continue;
      if (result !== errnos.ENOTEMPTY) throw systemCallError("unlinkat", { path: fromByteString(name) }, result);
      if (depth >= maximumDepth) this.#moveToTop(directory, name);
      else this.#removeDirectory(directory, name, depth);
    }
  }

  #removeDirectory(parent: number, name: ByteString, depth: number): void {
    {
      using directory = openAt(parent, name, O_RDONLY | O_DIRECTORY);
      this.empty(directory.number, namesIn(directory.number), depth + 1);
    }
    const result = unlinkAt(parent, name, AT_REMOVEDIR);
    if (result !== 0) throw systemCallError("unlinkat", { path: fromByteString(name) }, result);
  }

  #moveToTop(directory: number, name: ByteString): void {
    for (;;) {
      const result = moveAt(directory, name, this.#top, `.deep-${this.#moved++}`);
      if (result === 0) return;
      if (result !== errnos.EEXIST) throw systemCallError("renameat2", { path: fromByteString(name) }, result);
    }
  }
}

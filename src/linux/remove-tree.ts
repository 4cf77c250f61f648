import { AT_REMOVEDIR, type ByteString, fromByteString, moveAt, namesIn, openAt, unlinkAt } from "./at.ts";
import { O_DIRECTORY, O_RDONLY } from "./constants.ts";
import { errnos, systemCallError } from "./errno.ts";

/** How deep the walk goes before it moves what is deeper to the top: bounds the descriptors that are open at once. */
const maximumDepth = 100;

/**
 * Removes a file or a directory with everything in it, whatever a container left there: links are removed and never
 * followed, names need not be UTF-8, and trees may be deeper than any path can say. That nothing is there is no error.
 * @param parent a directory that the container has no hand in any more
 * @throws SystemCallError something cannot be removed; what is left can be tried again
 */
export function removeTreeAt(parent: number, name: ByteString): void {
  const result = removeNameAt(parent, name);
  if (result === 0) return;
  if (result !== errnos.ENOTEMPTY) throw systemCallError("unlinkat", { path: fromByteString(name) }, result);
  using top = openAt(parent, name, O_RDONLY | O_DIRECTORY);
  const walk = new Removal(top.number);
  for (let names = namesIn(top.number); names.length > 0; names = namesIn(top.number)) {
    walk.empty(top.number, names, 0);
  }
  const last = unlinkAt(parent, name, AT_REMOVEDIR);
  if (last !== 0) throw systemCallError("unlinkat", { path: fromByteString(name) }, last);
}

/** Removes a file or an empty directory. Returns the error number, ENOTEMPTY for a directory with something in it. */
function removeNameAt(parent: number, name: ByteString): number {
  const result = unlinkAt(parent, name);
  return result === errnos.EISDIR ? unlinkAt(parent, name, AT_REMOVEDIR) : result;
}

class Removal {
  readonly #top: number;
  #moved = 0;

  constructor(top: number) {
    this.#top = top;
  }

  empty(directory: number, names: readonly ByteString[], depth: number): void {
    for (const name of names) {
      const result = removeNameAt(directory, name);
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

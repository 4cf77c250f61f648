import { ptr } from "bun:ffi";
import { fstatSync } from "node:fs";
import { type ByteString, makeDirectoryAt, tryOpenAt } from "../../linux/at.ts";
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_RDONLY } from "../../linux/constants.ts";
import { RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS } from "../../linux/constants.ts";
import { errnos, systemCallError } from "../../linux/errno.ts";
import { OwnedFd } from "../../linux/fd.ts";
import { errno, libc } from "../../linux/libc.ts";
import { fileCalls } from "../../linux/libc-files.ts";
import { syscallNumber } from "../../linux/syscalls.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import { joinPath, parentOf, printable } from "./entry-path.ts";
import { isWhiteoutAt, nameBytes, readLinkAt } from "./inspect.ts";
import { layerCallError } from "./layer-error.ts";
import type { Timestamp } from "./tar/entry.ts";
import { timesOf, timestampOf } from "./times.ts";
import { markImplied, markOpaque } from "./xattrs.ts";

/** Directories that are kept open: a tar that goes through a tree in order needs as many as the tree is deep. */
const capacity = 64;

/** As many symbolic links as the kernel follows in one path. path_resolution(7) */
const mostLinks = 40;

/** A directory of the layer that is open. */
export interface LayerDirectory {
  /** Owned by {@link LayerDirectories}: valid until the next call of it. */
  readonly fd: number;
  /** Where it really is: no part is a symbolic link. */
  readonly path: ByteString;
  /** Its group: what files made in it may get for theirs. */
  gid: number;
  /** Its permission bits: set-group-ID is inherited by directories made in it. */
  mode: number;
  /** What its times are when unpacking is over. */
  accessed: Timestamp;
  modified: Timestamp;
}

/**
 * The directories of a layer that is being unpacked, opened so that nothing leads out of the layer: every path is
 * resolved by openat2(2) below the root without following any link; links on the way are followed here, word by word,
 * as if the layer's root were `/`.
 *
 * Whatever is made in a directory changes its modification time. So the times are put back when a directory leaves this
 * set of open ones: those of the archive, or for one that is opened again, those it had before. That takes no memory
 * per directory of the layer.
 */
export class LayerDirectories {
  readonly #open = new Map<ByteString, LayerDirectory>();
  readonly #root: LayerDirectory;
  #last: LayerDirectory;
  #hasImplied = false;
  readonly #path = Buffer.alloc(4096);
  readonly #pathAddress = ptr(this.#path);
  readonly #how = new BigUint64Array([
    BigInt(O_RDONLY | O_DIRECTORY | O_CLOEXEC),
    0n,
    BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS),
  ]);
  readonly #howAddress = ptr(this.#how);
  readonly #openat2 = syscallNumber("openat2");

  /** @param directory host path of the layer's root, which must exist. @throws SystemCallError */
  constructor(directory: string) {
    const fd = libc.openat(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0) throw systemCallError("open", { path: directory, step: "unpack a layer" });
    this.#root = describe(fd, "");
    this.#last = this.#root;
  }

  /**
   * The directory at `path` (of {@link layerPath}'s form); what is missing of it is made, 0755 and root's, and
   * marked as implied.
   * @throws InvalidDocumentError when something on the way is neither a directory nor a link to one
   * @throws SystemCallError
   */
  get(path: ByteString): LayerDirectory {
    return this.#known(path) ?? (this.#walk(path, true) as LayerDirectory);
  }

  /** As {@link get}, but undefined when there is no such directory. */
  find(path: ByteString): LayerDirectory | undefined {
    return this.#known(path) ?? this.#walk(path, false);
  }

  /** Adds a directory that was just opened, whose `fd` belongs to this set from now on. */
  adopt(directory: LayerDirectory): LayerDirectory {
    this.#open.set(directory.path, directory);
    this.#last = directory;
    if (this.#open.size > capacity) this.#closeOldest();
    return directory;
  }

  /** Whether directories were made that no call named as its own: see {@link get}. */
  get hasImplied(): boolean {
    return this.#hasImplied;
  }

  /** The open directory of this path, if it is among the open ones. */
  opened(path: ByteString): LayerDirectory | undefined {
    return path === "" ? this.#root : this.#open.get(path);
  }

  /** Closes what is open at and below `path`, because it is about to be removed. */
  forget(path: ByteString): void {
    const below = `${path}/`;
    for (const directory of this.#open.values()) {
      if (directory.path !== path && !directory.path.startsWith(below)) continue;
      this.#open.delete(directory.path);
      libc.close(directory.fd);
      if (this.#last === directory) this.#last = this.#root;
    }
  }

  /** Gives all directories that are still open their times. @throws SystemCallError */
  restoreTimes(): void {
    for (const directory of this.#open.values()) restoreTimes(directory);
    restoreTimes(this.#root);
  }

  /** Closes everything; times that were not restored before stay as they are. */
  [Symbol.dispose](): void {
    for (const { fd } of this.#open.values()) libc.close(fd);
    this.#open.clear();
    libc.close(this.#root.fd);
  }

  #known(path: ByteString): LayerDirectory | undefined {
    if (path === this.#last.path) return this.#last;
    if (path === "") return (this.#last = this.#root);
    const directory = this.#open.get(path);
    if (directory !== undefined) {
      // The least recently used come first.
      this.#open.delete(path);
      this.#open.set(path, directory);
      return (this.#last = directory);
    }
    const fd = this.#openPlain(path);
    return fd < 0 ? undefined : this.adopt(describe(fd, path));
  }

  /** Opens a path that has no links; -1 with errno when that is impossible. */
  #openPlain(path: ByteString): number {
    const size = this.#path.write(path, "latin1");
    if (size > 4095) throw layerCallError("openat2", path, errnos.ENAMETOOLONG);
    this.#path[size] = 0;
    for (;;) {
      const fd = libc.syscall(this.#openat2, this.#root.fd, this.#pathAddress, this.#howAddress, 24, 0, 0);
      if (Number(fd) >= 0) return Number(fd);
      if (errno() !== errnos.EINTR && errno() !== errnos.EAGAIN) return -1;
    }
  }

  #closeOldest(): void {
    for (const oldest of this.#open.values()) {
      this.#open.delete(oldest.path);
      using _fd = new OwnedFd(oldest.fd);
      restoreTimes(oldest);
      return;
    }
  }

  /** Goes to a path part by part: follows links inside the layer, and makes what is missing if `create`. */
  #walk(path: ByteString, create: boolean): LayerDirectory | undefined {
    const parts = path.split("/").reverse();
    let here = this.#root;
    let links = 0;
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      if (part === "" || part === ".") continue;
      const next = part === ".." ? parentOf(here.path) : joinPath(here.path, part);
      const known = this.#known(next);
      if (known !== undefined) {
        here = known;
        continue;
      }
      const reason = errno();
      if (reason !== errnos.ENOENT && reason !== errnos.ELOOP && reason !== errnos.ENOTDIR) {
        throw layerCallError("openat2", next, reason);
      }
      const parent = this.get(here.path);
      const target = reason === errnos.ENOENT ? undefined : readLinkAt(parent.fd, part);
      if (target !== undefined) {
        if (++links > mostLinks) throw layerCallError("openat2", path, errnos.ELOOP);
        parts.push(...target.split("/").reverse());
        if (target.startsWith("/")) here = this.#root;
      } else if (!create) {
        return undefined;
      } else {
        here = reason === errnos.ENOENT ? this.#make(parent, part) : this.#replaceWhiteout(parent, part);
      }
    }
    return here;
  }

  #make(parent: LayerDirectory, name: ByteString): LayerDirectory {
    makeDirectoryAt(parent.fd, name, 0o755);
    const fd = tryOpenAt(parent.fd, name, O_RDONLY | O_DIRECTORY)?.release() ?? -1;
    if (fd < 0) throw layerCallError("openat", joinPath(parent.path, name), errnos.ENOENT);
    const directory = this.adopt(describe(fd, joinPath(parent.path, name)));
    // Neither the umask of this process nor a set-group-ID directory around it decides.
    if (fileCalls.fchown(fd, 0, 0) < 0) throw layerCallError("fchown", directory.path);
    if (fileCalls.fchmod(fd, 0o755) < 0) throw layerCallError("fchmod", directory.path);
    directory.gid = 0;
    directory.mode = 0o755;
    markImplied(fd, directory.path);
    this.#hasImplied = true;
    return directory;
  }

  /** Where this layer hides a name, a file below that name makes it a directory that hides what it hid. */
  #replaceWhiteout(parent: LayerDirectory, name: ByteString): LayerDirectory {
    const path = joinPath(parent.path, name);
    if (!isWhiteoutAt(parent.fd, name)) {
      throw new InvalidDocumentError(`a layer has files below ${printable(path)}, which is no directory there`);
    }
    if (libc.unlinkat(parent.fd, nameBytes(name), 0) < 0) throw layerCallError("unlinkat", path);
    const directory = this.#make(parent, name);
    markOpaque(directory.fd, path);
    return directory;
  }
}

function describe(fd: number, path: ByteString): LayerDirectory {
  const stats = fstatSync(fd, { bigint: true });
  return {
    fd,
    path,
    gid: Number(stats.gid),
    mode: Number(stats.mode) & 0o7777,
    accessed: timestampOf(stats.atimeNs),
    modified: timestampOf(stats.mtimeNs),
  };
}

function restoreTimes(directory: LayerDirectory): void {
  if (fileCalls.futimens(directory.fd, timesOf(directory.accessed, directory.modified)) < 0) {
    throw layerCallError("futimens", directory.path);
  }
}

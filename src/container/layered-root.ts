import { type BigIntStats, fstatSync, readSync } from "node:fs";
import { O_NOCTTY, O_NONBLOCK, O_PATH, O_RDONLY, S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG } from "../linux/constants.ts";
import type { ByteString } from "../linux/at.ts";
import { namesIn, openAt, openDirectory, readLink, reopen, toByteString, tryOpenAt } from "../linux/at.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { isType } from "../linux/file-type.ts";
import { impliedAttribute } from "../linux/overlay.ts";
import { getXattr } from "../linux/xattr.ts";
import { GockerError } from "../util/errors.ts";

/** The kernel's bound on the symbolic links of one path. path_resolution(7) */
const maximumLinks = 40;

/** The longest path that Linux takes, also for what remains of one after a symbolic link was put in. PATH_MAX */
const maximumPath = 4096;

/**
 * How many names one resolution may look up, all layers together. Links and `..` can make a short path very long work;
 * nothing that programs really do comes near.
 */
const maximumLookups = 20_000;

/** The extended attribute whose value `y` makes a directory of a layer hide those below it. */
export type OpaqueAttribute = "trusted.overlay.opaque" | "user.overlay.opaque";

/** A file of the merged view that is no directory. The descriptor is O_PATH: nothing has been opened for real. */
export interface LayeredFile extends Disposable {
  readonly kind: "file";
  readonly fd: OwnedFd;
  readonly stat: BigIntStats;
}

/** What a name in the merged view stands for. The receiver disposes of it. */
export type LayeredEntry = LayeredFile | LayeredDirectory;

/**
 * One directory of the merged view: the directories of that name in all layers that contribute to it, uppermost first,
 * by the rules of overlayfs (Documentation/filesystems/overlayfs.rst): a whiteout hides what is below it, an opaque
 * directory hides the lower ones, and only directories merge. Layers with `redirect_dir` or `metacopy` do not occur:
 * gocker mounts without them.
 */
export class LayeredDirectory implements Disposable {
  readonly kind = "directory";
  readonly #parts: readonly OwnedFd[];
  readonly #opaque: OpaqueAttribute;

  /** Takes over the descriptors (at least one). */
  constructor(parts: readonly OwnedFd[], opaque: OpaqueAttribute) {
    this.#parts = parts;
    this.#opaque = opaque;
  }

  /**
   * The part whose owner, mode, times and attributes are the merged directory's: the uppermost that its layer names and
   * does not only imply.
   */
  get fd(): OwnedFd {
    const named = this.#parts.find((part) => !isMarked(part, impliedAttribute));
    return named ?? (this.#parts[0] as OwnedFd);
  }

  /** Whether overlayfs, which knows nothing of implied directories, takes another part than {@link fd}. */
  get isImplied(): boolean {
    return this.fd !== this.#parts[0];
  }

  get stat(): BigIntStats {
    return fstatSync(this.fd.number, { bigint: true });
  }

  /** How many layers' directories merge here. */
  get width(): number {
    return this.#parts.length;
  }

  /** What the name stands for, without following a symbolic link; undefined when there is nothing. */
  lookup(name: ByteString): LayeredEntry | undefined {
    const found: OwnedFd[] = [];
    try {
      for (const [index, part] of this.#parts.entries()) {
        const fd = tryOpenAt(part.number, name, O_PATH);
        if (fd === undefined) continue;
        found.push(fd);
        const stat = fstatSync(fd.number, { bigint: true });
        if (!isType(stat, S_IFDIR)) {
          found.pop();
          if (found.length > 0 || isWhiteout(stat)) {
            fd.close();
            break;
          }
          return { kind: "file", fd, stat, [Symbol.dispose]: () => fd.close() };
        }
        if (index + 1 < this.#parts.length && isMarked(fd, this.#opaque)) break;
      }
    } catch (error) {
      for (const fd of found) fd.close();
      throw error;
    }
    return found.length === 0 ? undefined : new LayeredDirectory(found, this.#opaque);
  }

  /** The names in the directory, each once, in no order; without those that a whiteout hides. */
  names(): ByteString[] {
    if (this.#parts.length === 1) {
      const only = this.#parts[0] as OwnedFd;
      return namesIn(only.number).filter((name) => !this.#isWhiteoutAt(only, name));
    }
    const seen = new Set<ByteString>();
    const visible: ByteString[] = [];
    for (const part of this.#parts) {
      for (const name of namesIn(part.number)) {
        if (seen.has(name)) continue;
        seen.add(name);
        if (!this.#isWhiteoutAt(part, name)) visible.push(name);
      }
    }
    return visible;
  }

  /** The same directory with descriptors of its own. */
  duplicate(): LayeredDirectory {
    const parts: OwnedFd[] = [];
    try {
      for (const part of this.#parts) parts.push(openAt(part.number, ".", O_PATH));
    } catch (error) {
      for (const part of parts) part.close();
      throw error;
    }
    return new LayeredDirectory(parts, this.#opaque);
  }

  #isWhiteoutAt(part: OwnedFd, name: ByteString): boolean {
    using fd = tryOpenAt(part.number, name, O_PATH);
    return fd === undefined || isWhiteout(fstatSync(fd.number, { bigint: true }));
  }

  [Symbol.dispose](): void {
    for (const part of this.#parts) part.close();
  }
}

/** How {@link LayeredRoot.resolve} treats the last component. */
export interface ResolveOptions {
  /** Do not follow a symbolic link that the path ends in. */
  readonly noFollow?: boolean;
}

/**
 * A read-only view of an image's layers as the container will see them, without mounting anything. Paths are resolved
 * as chroot would: links and `..` never lead out. Files that an image could use as a trap (FIFOs, devices) are never
 * opened.
 */
export class LayeredRoot implements Disposable {
  readonly #root: LayeredDirectory;

  private constructor(root: LayeredDirectory) {
    this.#root = root;
  }

  /**
   * @param layers directories of unpacked layers with whiteouts in overlayfs form, the lowest first, as `StoredImage`
   *   has them; a container's upper directory may be the last
   * @param opaque the attribute that marks opaque directories; overlayfs takes the `user` one with `userxattr` only
   * @throws SystemCallError a layer cannot be opened
   */
  static open(layers: readonly string[], opaque: OpaqueAttribute = "trusted.overlay.opaque"): LayeredRoot {
    const parts: OwnedFd[] = [];
    try {
      for (const layer of layers.toReversed()) parts.push(openDirectory(layer));
    } catch (error) {
      for (const part of parts) part.close();
      throw error;
    }
    return new LayeredRoot(new LayeredDirectory(parts, opaque));
  }

  /**
   * What a path of the container stands for.
   * @param path taken from the root, whether it begins with a slash or not
   * @returns undefined when nothing is there: a missing name, a file where a directory is needed, a link that dangles
   *   or runs in a circle
   * @throws GockerError the path is made to be endless work; SystemCallError
   */
  resolve(path: string, options: ResolveOptions = {}): LayeredEntry | undefined {
    return new Resolution(this.#root, options.noFollow === true).run(toByteString(path));
  }

  /**
   * The content of a regular file.
   * @param limit the largest size in bytes that is accepted
   * @returns undefined when there is no such file or it is no regular one
   * @throws GockerError the file is larger than `limit`
   */
  readFile(path: string, limit: number): Uint8Array | undefined {
    using entry = this.resolve(path);
    if (entry === undefined || entry.kind === "directory" || !isType(entry.stat, S_IFREG)) return undefined;
    if (entry.stat.size > BigInt(limit)) {
      throw new GockerError("FILE_TOO_LARGE", `${path} of the image has ${entry.stat.size} bytes, more than ${limit}`);
    }
    // Safe to open only now: what O_PATH found is known to be a regular file, and this opens exactly that.
    using file = reopen(entry.fd.number, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    const content = new Uint8Array(Number(entry.stat.size));
    let length = 0;
    while (length < content.length) {
      const count = readSync(file.number, content, length, content.length - length, length);
      if (count === 0) break;
      length += count;
    }
    return content.subarray(0, length);
  }

  [Symbol.dispose](): void {
    this.#root[Symbol.dispose]();
  }
}

/** The walk along one path. */
class Resolution {
  readonly #root: LayeredDirectory;
  readonly #noFollow: boolean;
  /** Where the walk is: names of real directories, without links and dots. */
  #walked: ByteString[] = [];
  #current: LayeredDirectory;
  #lookups = 0;
  #links = 0;

  constructor(root: LayeredDirectory, noFollow: boolean) {
    this.#root = root;
    this.#noFollow = noFollow;
    this.#current = root;
  }

  run(path: ByteString): LayeredEntry | undefined {
    try {
      return this.#walk(path);
    } catch (error) {
      this.#moveTo(this.#root);
      throw error;
    }
  }

  #walk(path: ByteString): LayeredEntry | undefined {
    if (path.length > maximumPath) return this.#nothing();
    const rest = split(path).reverse();
    let mustBeDirectory = path.endsWith("/");
    for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
      if (name === ".") continue;
      if (name === "..") {
        if (!this.#goUp()) return this.#nothing();
        continue;
      }
      const entry = this.#lookup(name);
      if (entry === undefined) return this.#nothing();
      if (entry.kind === "directory") {
        this.#walked.push(name);
        this.#moveTo(entry);
        continue;
      }
      const isLast = rest.length === 0;
      if (!isType(entry.stat, S_IFLNK) || (isLast && this.#noFollow && !mustBeDirectory)) {
        this.#moveTo(this.#root);
        if (isLast && !mustBeDirectory) return entry;
        entry[Symbol.dispose]();
        return undefined;
      }
      const target = readLink(entry.fd.number);
      entry[Symbol.dispose]();
      this.#links++;
      const remaining = rest.reduce((sum, component) => sum + component.length + 1, target.length);
      if (this.#links > maximumLinks || remaining > maximumPath) return this.#nothing();
      if (isLast) mustBeDirectory ||= target.endsWith("/");
      rest.push(...split(target).reverse());
      if (target.startsWith("/")) {
        this.#walked = [];
        this.#moveTo(this.#root);
      }
    }
    return this.#takeCurrent();
  }

  #lookup(name: ByteString): LayeredEntry | undefined {
    this.#lookups += this.#current.width;
    if (this.#lookups > maximumLookups) {
      throw new GockerError("PATH_TOO_COMPLEX", "a path of the image takes too many steps to be resolved");
    }
    // Longer names cannot exist (NAME_MAX), and the kernel would call them an error.
    return name.length > 255 ? undefined : this.#current.lookup(name);
  }

  /** The parent is found by walking again from the root, so that no descriptors pile up on a deep path. */
  #goUp(): boolean {
    this.#walked.pop();
    this.#moveTo(this.#root);
    for (const name of this.#walked) {
      const entry = this.#lookup(name);
      if (entry?.kind !== "directory") {
        entry?.[Symbol.dispose]();
        return false;
      }
      this.#moveTo(entry);
    }
    return true;
  }

  #moveTo(directory: LayeredDirectory): void {
    if (this.#current !== this.#root && this.#current !== directory) this.#current[Symbol.dispose]();
    this.#current = directory;
  }

  #takeCurrent(): LayeredDirectory | undefined {
    if (this.#current !== this.#root) return this.#current;
    // The root stays with its owner; the caller gets descriptors of its own.
    return this.#root.duplicate();
  }

  #nothing(): undefined {
    this.#moveTo(this.#root);
    return undefined;
  }
}

function split(path: ByteString): ByteString[] {
  return path.split("/").filter((name) => name !== "");
}

function isWhiteout(stat: BigIntStats): boolean {
  return isType(stat, S_IFCHR) && stat.rdev === 0n;
}

/** Whether a directory has an attribute of overlayfs that is either `y` or not there. */
function isMarked(fd: OwnedFd, attribute: string): boolean {
  const value = getXattr(fd.number, attribute);
  return value !== undefined && value.length === 1 && value[0] === 0x79;
}

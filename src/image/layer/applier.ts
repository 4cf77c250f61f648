import type { ByteString } from "../../linux/at.ts";
import { O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } from "../../linux/constants.ts";
import { AT_SYMLINK_NOFOLLOW, S_IFBLK, S_IFCHR, S_IFIFO } from "../../linux/constants.ts";
import { makeDevice } from "../../linux/device-number.ts";
import { errnos } from "../../linux/errno.ts";
import { errno, libc } from "../../linux/libc.ts";
import { fileCalls } from "../../linux/libc-files.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import { type LayerDirectory, LayerDirectories } from "./directories.ts";
import { joinPath, layerPath, nameOf, parentOf, printable } from "./entry-path.ts";
import { nameBytes, procPath } from "./inspect.ts";
import { layerCallError } from "./layer-error.ts";
import { removeTree } from "./remove-tree.ts";
import type { TarEntry, TarHandler } from "./tar/entry.ts";
import { timesOf } from "./times.ts";
import { classifyEntry, hardLinkDirectory } from "./whiteout.ts";
import { markImplied, markIncomplete, markOpaque, setXattrs, unmarkImplied } from "./xattrs.ts";

/** Permission bits that creating a file cannot set. */
const specialBits = 0o7000;
const largestId = 0xffff_fffe;

const createFlags = O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
const directoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/** How the thread that unpacks stands to the kernel. */
export interface ApplierOptions {
  /** The umask in force, so that modes it takes bits from are set again. */
  readonly umask: number;
}

/**
 * Makes a layer's directory out of the members of its tar, in the form that overlayfs takes for a lower layer: a
 * whiteout is a character device 0/0, an opaque directory has the attribute `trusted.overlay.opaque`.
 *
 * Whiteouts hide lower layers only. So where the layer itself has the name, that stays, whichever came first; and a
 * directory that takes the place of anything else is opaque, because in the image that it came from nothing of a lower
 * layer was left in there.
 *
 * Each member gets, in this order: existence, content, owner, mode (chown(2) clears set-user-ID), attributes (writing and
 * chown clear `security.capability`), times. It takes root's rights: owners, devices and `trusted.` attributes need them.
 */
export class LayerApplier implements TarHandler, Disposable {
  readonly #directories: LayerDirectories;
  readonly #umask: number;
  readonly #uid = process.geteuid?.() ?? 0;
  readonly #gid = process.getegid?.() ?? 0;
  #entries = 0;
  #droppedXattrs = 0;
  #hasHardLinkDirectory = false;
  #namesRoot = false;
  #file = -1;
  #filePath = "";
  #fileParent: LayerDirectory | undefined;

  /**
   * @param directory host path of the layer's directory: empty, and nobody else's until the layer is whole
   * @throws SystemCallError
   */
  constructor(directory: string, options: ApplierOptions) {
    this.#directories = new LayerDirectories(directory);
    this.#umask = options.umask;
  }

  /** Members of the tar so far, whiteouts included. */
  get entries(): number {
    return this.#entries;
  }

  /** Extended attributes that could not be kept: see {@link setXattrs}. */
  get droppedXattrs(): number {
    return this.#droppedXattrs;
  }

  /** @throws InvalidDocumentError, SystemCallError */
  entry(entry: TarEntry): void {
    this.#entries++;
    const path = layerPath(entry.path);
    const meaning = classifyEntry(path);
    switch (meaning.kind) {
      case "ignored":
        return;
      case "whiteout":
        this.#whiteout(meaning.path);
        return;
      case "opaque":
        markOpaque(this.#directories.get(meaning.path).fd, meaning.path);
        return;
      case "content":
    }
    if (path.startsWith(hardLinkDirectory)) this.#hasHardLinkDirectory = true;
    this.#checkOwner(entry, path);
    if (entry.type === "directory") this.#directory(entry, path);
    else if (path === "") throw new InvalidDocumentError(`a layer has a ${entry.type} without a name`);
    else if (entry.type === "file") this.#createFile(entry, path);
    else if (entry.type === "hardlink") this.#hardLink(entry, path);
    else this.#special(entry, path);
  }

  /** @throws SystemCallError */
  content(bytes: Uint8Array, position: number): void {
    if (this.#file < 0) return;
    let written = 0;
    while (written < bytes.length) {
      const rest = written === 0 ? bytes : bytes.subarray(written);
      const count = Number(libc.pwrite(this.#file, rest, rest.length, position + written));
      if (count >= 0) written += count;
      else if (errno() !== errnos.EINTR) throw layerCallError("write", this.#filePath);
    }
  }

  /** @throws SystemCallError */
  end(entry: TarEntry): void {
    const fd = this.#file;
    if (fd < 0) return;
    const path = this.#filePath;
    if (entry.sparse && fileCalls.ftruncate(fd, entry.size) < 0) throw layerCallError("ftruncate", path);
    if (!this.#isBornWithOwner(entry, this.#fileParent as LayerDirectory)) {
      if (fileCalls.fchown(fd, entry.uid, entry.gid) < 0) throw layerCallError("fchown", path);
    }
    if ((entry.mode & (specialBits | this.#umask)) !== 0 && fileCalls.fchmod(fd, entry.mode) < 0) {
      throw layerCallError("fchmod", path);
    }
    if (entry.xattrs.length > 0) this.#droppedXattrs += setXattrs(fd, entry.xattrs, path);
    const times = timesOf(entry.accessed ?? entry.modified, entry.modified);
    if (fileCalls.futimens(fd, times) < 0) throw layerCallError("futimens", path);
    this.#file = -1;
    if (libc.close(fd) < 0) throw layerCallError("close", path);
  }

  /** All members are there: directories get their times. @throws SystemCallError */
  finish(): void {
    if (this.#hasHardLinkDirectory) {
      this.#directories.forget(hardLinkDirectory);
      removeTree(this.#directories.get("").fd, hardLinkDirectory);
    }
    const root = this.#directories.get("").fd;
    if (!this.#namesRoot) markImplied(root, "");
    if (this.#directories.hasImplied) markIncomplete(root);
    this.#directories.restoreTimes();
  }

  /** Closes what is open. What was unpacked stays: the caller removes it unless {@link finish} succeeded. */
  [Symbol.dispose](): void {
    if (this.#file >= 0) libc.close(this.#file);
    this.#file = -1;
    this.#directories[Symbol.dispose]();
  }

  #checkOwner({ uid, gid }: TarEntry, path: ByteString): void {
    if (uid >= 0 && uid <= largestId && gid >= 0 && gid <= largestId) return;
    throw new InvalidDocumentError(`a layer gives ${printable(path)} to ${uid}:${gid}, which cannot be an owner`);
  }

  /**
   * Whether what this process makes in a directory has the wanted owner at once. The group is the process's, or the
   * directory's if that is set-group-ID or mounted with `grpid`.
   */
  #isBornWithOwner(entry: TarEntry, parent: LayerDirectory): boolean {
    return entry.uid === this.#uid && entry.gid === this.#gid && parent.gid === this.#gid;
  }

  #createFile(entry: TarEntry, path: ByteString): void {
    const name = nameBytes(nameOf(path));
    const parent = this.#directories.get(parentOf(path));
    const mode = entry.mode & 0o777;
    let fd = libc.openat(parent.fd, name, createFlags, mode);
    while (fd < 0) {
      const number = errno();
      if (number === errnos.EEXIST) this.#remove(parent, nameOf(path));
      else if (number !== errnos.EINTR) throw layerCallError("openat", path, number);
      fd = libc.openat(parent.fd, name, createFlags, mode);
    }
    this.#file = fd;
    this.#filePath = path;
    this.#fileParent = parent;
  }

  #directory(entry: TarEntry, path: ByteString): void {
    const directory = path === "" ? this.#directories.get("") : this.#makeDirectory(entry, path);
    if (path === "") this.#namesRoot = true;
    const { fd } = directory;
    if (fileCalls.fchown(fd, entry.uid, entry.gid) < 0) throw layerCallError("fchown", path);
    if (fileCalls.fchmod(fd, entry.mode) < 0) throw layerCallError("fchmod", path);
    if (entry.xattrs.length > 0) this.#droppedXattrs += setXattrs(fd, entry.xattrs, path);
    directory.gid = entry.gid;
    directory.mode = entry.mode;
    directory.accessed = entry.accessed ?? entry.modified;
    directory.modified = entry.modified;
  }

  /** Makes the directory, or opens the one that the layer has there already. */
  #makeDirectory(entry: TarEntry, path: ByteString): LayerDirectory {
    const name = nameOf(path);
    const bytes = nameBytes(name);
    const parent = this.#directories.get(parentOf(path));
    const where = joinPath(parent.path, name);
    const isNew = libc.mkdirat(parent.fd, bytes, entry.mode & 0o777) === 0;
    if (!isNew && errno() !== errnos.EEXIST) throw layerCallError("mkdirat", path);
    const opened = isNew ? undefined : this.#directories.opened(where);
    if (opened !== undefined) {
      unmarkImplied(opened.fd, path);
      return opened;
    }
    let fd = libc.openat(parent.fd, bytes, directoryFlags, 0);
    if (fd < 0) {
      const number = errno();
      if (isNew || (number !== errnos.ENOTDIR && number !== errnos.ELOOP)) throw layerCallError("openat", path, number);
      this.#remove(parent, name);
      if (libc.mkdirat(parent.fd, bytes, entry.mode & 0o777) < 0) throw layerCallError("mkdirat", path);
      fd = libc.openat(parent.fd, bytes, directoryFlags, 0);
      if (fd < 0) throw layerCallError("openat", path);
      markOpaque(fd, path);
    } else if (!isNew) {
      unmarkImplied(fd, path);
    }
    const { gid, mode, modified } = entry;
    return this.#directories.adopt({ fd, path: where, gid, mode, accessed: modified, modified });
  }

  #hardLink(entry: TarEntry, path: ByteString): void {
    const target = layerPath(entry.linkPath);
    if (target === "") throw new InvalidDocumentError(`a layer has a hard link to nothing: ${printable(path)}`);
    const missing = () =>
      new InvalidDocumentError(
        `a layer has a hard link ${printable(path)} to ${printable(target)}, which is not in the layer before it`,
      );
    const from = this.#directories.find(parentOf(target))?.path;
    if (from === undefined) throw missing();
    const parent = this.#directories.get(parentOf(path));
    const source = from === parent.path ? parent : this.#directories.get(from);
    const there = joinPath(parent.path, nameOf(path));
    // A link to itself changes nothing, and must not remove what it is a link to.
    if (joinPath(from, nameOf(target)) === there) return;
    const link = () => libc.linkat(source.fd, nameBytes(nameOf(target)), parent.fd, nameBytes(nameOf(path)), 0);
    if (link() === 0) return;
    if (errno() === errnos.EEXIST) {
      this.#remove(parent, nameOf(path));
      if (link() === 0) return;
    }
    throw errno() === errnos.ENOENT ? missing() : layerCallError("linkat", path);
  }

  /** Symbolic links, devices and FIFOs. */
  #special(entry: TarEntry, path: ByteString): void {
    const name = nameBytes(nameOf(path));
    const parent = this.#directories.get(parentOf(path));
    const make = this.#maker(entry, path, parent, name);
    if (make() < 0) {
      if (errno() !== errnos.EEXIST) throw layerCallError("create", path);
      this.#remove(parent, nameOf(path));
      if (make() < 0) throw layerCallError("create", path);
    }
    if (libc.fchownat(parent.fd, name, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) < 0) {
      throw layerCallError("fchownat", path);
    }
    // It was made just now, so fchmodat(2), which follows links, finds no link.
    if (entry.type !== "symlink" && libc.fchmodat(parent.fd, name, entry.mode, 0) < 0) {
      throw layerCallError("fchmodat", path);
    }
    if (entry.xattrs.length > 0) {
      const target = Buffer.concat([procPath(parent.fd, nameOf(path)), Buffer.alloc(1)]);
      this.#droppedXattrs += setXattrs(target, entry.xattrs, path);
    }
    const times = timesOf(entry.accessed ?? entry.modified, entry.modified);
    if (libc.utimensat(parent.fd, name, times, AT_SYMLINK_NOFOLLOW) < 0) throw layerCallError("utimensat", path);
  }

  #maker(entry: TarEntry, path: ByteString, parent: LayerDirectory, name: Buffer): () => number {
    if (entry.type === "symlink") {
      if (entry.linkPath === "") throw new InvalidDocumentError(`a layer has a link to nothing: ${printable(path)}`);
      const target = nameBytes(entry.linkPath);
      return () => libc.symlinkat(target, parent.fd, name);
    }
    if (entry.type === "fifo") return () => libc.mknodat(parent.fd, name, S_IFIFO | (entry.mode & 0o777), 0);
    const { deviceMajor, deviceMinor } = entry;
    if (deviceMajor < 0 || deviceMajor > 0xfff || deviceMinor < 0 || deviceMinor > 0xf_ffff) {
      const number = `${deviceMajor}:${deviceMinor}`;
      throw new InvalidDocumentError(`a layer has a device ${printable(path)} of an impossible number, ${number}`);
    }
    const type = entry.type === "block-device" ? S_IFBLK : S_IFCHR;
    const device = makeDevice(deviceMajor, deviceMinor);
    return () => libc.mknodat(parent.fd, name, type | (entry.mode & 0o777), device);
  }

  #whiteout(path: ByteString): void {
    const name = nameOf(path);
    const parent = this.#directories.get(parentOf(path));
    if (libc.mknodat(parent.fd, nameBytes(name), S_IFCHR, 0) === 0) return;
    if (errno() !== errnos.EEXIST) throw layerCallError("mknodat", path);
    const fd = libc.openat(parent.fd, nameBytes(name), directoryFlags, 0);
    // What is no directory hides the lower one by being there.
    if (fd < 0) return;
    try {
      markOpaque(fd, path);
    } finally {
      libc.close(fd);
    }
  }

  /** Removes what the layer has under a name, because something else comes there. */
  #remove(parent: LayerDirectory, name: ByteString): void {
    if (libc.unlinkat(parent.fd, nameBytes(name), 0) === 0) return;
    const path = joinPath(parent.path, name);
    if (errno() !== errnos.EISDIR) throw layerCallError("unlinkat", path);
    this.#directories.forget(path);
    removeTree(parent.fd, name);
  }
}

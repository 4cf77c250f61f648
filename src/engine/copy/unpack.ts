import { fstatSync } from "node:fs";
import type { TarEntry, TarHandler } from "../../image/layer/tar/entry.ts";
import { timesOf } from "../../image/layer/times.ts";
import {
  type ByteString,
  fromByteString,
  linkAt,
  makeDirectoryAt,
  makeNodeAt,
  makeSymlinkAt,
  openAt,
  openInDirectory,
  unlinkAt,
} from "../../linux/at.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
} from "../../linux/constants.ts";
import { makeDevice } from "../../linux/device-number.ts";
import { errnos, systemCallError } from "../../linux/errno.ts";
import type { OwnedFd } from "../../linux/fd.ts";
import { errno, libc } from "../../linux/libc.ts";
import { fileCalls } from "../../linux/libc-files.ts";
import { isMountPoint, openExisting } from "../../linux/merge-tree.ts";
import { setXattr } from "../../linux/xattr.ts";
import { ConflictError, GockerError, InvalidDocumentError, SystemCallError } from "../../util/errors.ts";

/** How often a name is cleared that somebody else takes at the same time. */
const mostAttempts = 20;
const largestId = 0xffff_fffe;
/** overlayfs's own, and labels of the machine on which the archive was made. */
const refusedAttribute = /^(?:(?:trusted|user)\.overlay\.|security\.selinux$)/;

/**
 * Puts the members of an archive into a directory in which something may be already, and others may be at work. Links on
 * the way are followed, but lead nowhere out of the root directory; names are made anew, never written through. A
 * directory that is there keeps its own attributes.
 */
export class Unpacker implements TarHandler, Disposable {
  readonly #root: OwnedFd;
  readonly #base: Buffer;
  /** The directory of the last member. */
  #parent: { readonly path: ByteString; readonly fd: OwnedFd } | undefined;
  #file: OwnedFd | undefined;
  /** The current file is a mount: its attributes are its own. */
  #isMounted = false;
  /** Directories that were made: what is put into them later changes their times. */
  readonly #made: { readonly path: ByteString; readonly entry: TarEntry }[] = [];
  #bytes = 0;

  /** @param base the directory's path from the root */
  constructor(root: OwnedFd, base: string) {
    this.#root = root;
    this.#base = Buffer.from(base);
  }

  /** How many bytes of files were unpacked. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @throws InvalidDocumentError, ConflictError, SystemCallError */
  entry(entry: TarEntry): void {
    const path = memberPath(entry.path);
    if (path === "") {
      if (entry.type === "directory") return;
      throw new InvalidDocumentError(`the archive has a ${entry.type} without a name`);
    }
    const { uid, gid } = entry;
    if (uid < 0 || uid > largestId || gid < 0 || gid > largestId) {
      throw new InvalidDocumentError(`the archive gives ${show(path)} to ${uid}:${gid}, which cannot be an owner`);
    }
    const parent = this.#directoryOf(path);
    const name = nameOf(path);
    if (entry.type === "directory") this.#directory(entry, parent, path);
    else if (entry.type === "file") this.#file = this.#openFile(parent, name);
    else if (entry.type === "hardlink") this.#hardLink(entry, parent, name);
    else this.#special(entry, parent, name);
  }

  /** @throws SystemCallError */
  content(bytes: Uint8Array, position: number): void {
    if (this.#file === undefined) return;
    let written = 0;
    while (written < bytes.length) {
      const rest = bytes.subarray(written);
      const count = Number(libc.pwrite(this.#file.number, rest, rest.length, position + written));
      if (count >= 0) written += count;
      else if (errno() !== errnos.EINTR) throw systemCallError("pwrite");
    }
    this.#bytes += bytes.length;
  }

  /** @throws SystemCallError */
  end(entry: TarEntry): void {
    if (this.#file === undefined) return;
    using file = this.#file;
    this.#file = undefined;
    if (entry.sparse && fileCalls.ftruncate(file.number, entry.size) < 0) throw systemCallError("ftruncate");
    if (!this.#isMounted) setAttributes(file, entry);
  }

  /** A new file; one that is mounted gets the content instead, and stays itself. */
  #openFile(parent: OwnedFd, name: ByteString): OwnedFd {
    this.#isMounted = isMountPoint(parent, name);
    if (!this.#isMounted) return this.#create(parent, name, (flags) => openAt(parent.number, name, flags, 0o600));
    const file = openAt(parent.number, name, O_WRONLY | O_TRUNC | O_NONBLOCK | O_NOCTTY);
    if (fstatSync(file.number).isFile()) return file;
    file.close();
    throw mountedThere(name);
  }

  /** All members are there. @throws SystemCallError */
  finish(): void {
    for (const { path, entry } of this.#made.toReversed()) {
      using directory = openInDirectory(this.#root.number, this.#pathOf(path), O_PATH | O_NOFOLLOW | O_CLOEXEC);
      if (directory !== undefined && fstatSync(directory.number).isDirectory()) setTimes(directory, entry);
    }
  }

  #pathOf(path: ByteString): Buffer {
    return Buffer.concat([this.#base, Buffer.from(`/${path}`, "latin1")]);
  }

  #directoryOf(path: ByteString): OwnedFd {
    const parent = parentOf(path);
    if (this.#parent?.path === parent) return this.#parent.fd;
    const fd = this.#open(parent) ?? this.#makeMissing(parent);
    this.#parent?.fd.close();
    this.#parent = { path: parent, fd };
    return fd;
  }

  #open(path: ByteString): OwnedFd | undefined {
    return openInDirectory(this.#root.number, this.#pathOf(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }

  /** A directory that the archive does not name before what is in it. */
  #makeMissing(path: ByteString): OwnedFd {
    if (path === "") throw new GockerError("GONE", "the directory that is copied to is gone");
    const parent = this.#open(parentOf(path)) ?? this.#makeMissing(parentOf(path));
    using directory = parent;
    const name = nameOf(path);
    try {
      makeDirectoryAt(directory.number, name, 0o755);
    } catch (error) {
      if (!(error instanceof SystemCallError) || error.errno !== errnos.EEXIST) throw error;
      throw new ConflictError(`cannot put a directory in the place of ${show(path)}, which is none`, { cause: error });
    }
    return openAt(directory.number, name, O_RDONLY | O_DIRECTORY);
  }

  #directory(entry: TarEntry, parent: OwnedFd, path: ByteString): void {
    const name = nameOf(path);
    using existing = openExisting(parent, name);
    if (existing !== undefined) return;
    makeDirectoryAt(parent.number, name, 0o700);
    using directory = openAt(parent.number, name, O_RDONLY | O_DIRECTORY);
    setAttributes(directory, entry);
    this.#made.push({ path, entry });
  }

  /** Makes a new file of a name, in place of what has it and is no directory. */
  #create(parent: OwnedFd, name: ByteString, make: (flags: number) => OwnedFd): OwnedFd {
    for (let attempt = 0; attempt < mostAttempts; attempt++) {
      try {
        return make(O_WRONLY | O_CREAT | O_EXCL | O_NOCTTY);
      } catch (error) {
        if (!(error instanceof SystemCallError) || error.errno !== errnos.EEXIST) throw error;
      }
      if (isMountPoint(parent, name)) throw mountedThere(name);
      const number = unlinkAt(parent.number, name);
      if (number === errnos.EISDIR) {
        throw new ConflictError(`cannot put a file in the place of the directory ${show(name)}`);
      }
      if (number !== 0) throw systemCallError("unlinkat", { path: fromByteString(name) }, number);
    }
    throw new GockerError("BUSY", `cannot take the place of ${show(name)}: somebody else takes it again and again`);
  }

  #hardLink(entry: TarEntry, parent: OwnedFd, name: ByteString): void {
    const target = memberPath(entry.linkPath);
    using file = openInDirectory(this.#root.number, this.#pathOf(target), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (file === undefined || fstatSync(file.number).isDirectory()) {
      throw new InvalidDocumentError(`the archive has a hard link to ${show(target)}, which is no file`);
    }
    this.#create(parent, name, () => {
      linkAt(file.number, parent.number, name);
      return openAt(parent.number, name, O_PATH);
    }).close();
  }

  /** Symbolic links, devices and FIFOs. */
  #special(entry: TarEntry, parent: OwnedFd, name: ByteString): void {
    const type = typeOf(entry);
    const device = makeDevice(entry.deviceMajor, entry.deviceMinor);
    using made = this.#create(parent, name, () => {
      if (type === S_IFLNK) makeSymlinkAt(parent.number, name, entry.linkPath);
      else makeNodeAt(parent.number, name, type, type === S_IFIFO ? 0 : Number(device));
      return openAt(parent.number, name, O_PATH);
    });
    const found = fstatSync(made.number, { bigint: true });
    const isMine =
      (Number(found.mode) & S_IFMT) === type && (type === S_IFLNK || type === S_IFIFO || found.rdev === device);
    if (!isMine) throw new GockerError("BUSY", `somebody else has taken the place of ${show(name)}`);
    setAttributes(made, entry);
  }

  [Symbol.dispose](): void {
    this.#file?.close();
    this.#parent?.fd.close();
  }
}

function mountedThere(name: ByteString): ConflictError {
  return new ConflictError(`cannot take the place of ${show(name)}: something is mounted there`);
}

function typeOf({ type }: TarEntry): number {
  if (type === "symlink") return S_IFLNK;
  if (type === "fifo") return S_IFIFO;
  return type === "block-device" ? S_IFBLK : S_IFCHR;
}

/** Owner, mode, attributes and times, in this order: each changes what is after it. */
function setAttributes(file: OwnedFd, entry: TarEntry): void {
  if (libc.fchownat(file.number, "", entry.uid, entry.gid, AT_EMPTY_PATH) < 0) throw systemCallError("fchownat");
  const itself = `/proc/self/fd/${file.number}`;
  if (entry.type !== "symlink" && libc.fchmodat(AT_FDCWD, itself, entry.mode, 0) < 0) throw systemCallError("fchmodat");
  for (const { name, value } of entry.xattrs) {
    if (refusedAttribute.test(name)) continue;
    try {
      setXattr(file.number, name, value);
    } catch (error) {
      // The file system knows none of this kind, or none of this type of file.
      if (!(error instanceof SystemCallError) || !["EOPNOTSUPP", "EPERM"].includes(error.errnoName)) throw error;
    }
  }
  setTimes(file, entry);
}

function setTimes(file: OwnedFd, { accessed, modified }: TarEntry): void {
  const times = timesOf(accessed ?? modified, modified);
  if (libc.utimensat(AT_FDCWD, `/proc/self/fd/${file.number}`, times, 0) < 0) throw systemCallError("utimensat");
}

/**
 * The way to a member below the directory, without slashes at its ends, `.`, `..` and empty parts; "" for the directory.
 * @throws InvalidDocumentError it leads out of there
 */
function memberPath(name: ByteString): ByteString {
  const parts: ByteString[] = [];
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) {
      throw new InvalidDocumentError(`the archive names a file outside of it: ${show(name)}`);
    }
  }
  return parts.join("/");
}

function parentOf(path: ByteString): ByteString {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

function nameOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf("/") + 1);
}

function show(name: ByteString): string {
  return JSON.stringify(fromByteString(name));
}

import { type BigIntStats, fstatSync } from "node:fs";
import { GockerError } from "../util/errors.ts";
import {
  type ByteString,
  fromByteString,
  linkAt,
  makeDirectoryAt,
  makeNodeAt,
  makeSymlinkAt,
  openAt,
  readLink,
  reopen,
  tryOpenAt,
} from "./at.ts";
import {
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOCTTY,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "./constants.ts";
import { errnos, systemCallError } from "./errno.ts";
import { type OwnedFd, readSome, writeAll } from "./fd.ts";
import { errno, libc } from "./libc.ts";
import { fileCalls } from "./libc-files.ts";
import { syscallNumber } from "./syscalls.ts";
import { copyAttributes } from "./copy-attributes.ts";
import { isType } from "./file-type.ts";

/** What is copied: a directory, as it is or merged from those of an image's layers. The receiver of an entry disposes of it. */
export interface TreeDirectory extends Disposable {
  readonly kind: "directory";
  /** That whose extended attributes the directory has. */
  readonly fd: OwnedFd;
  readonly stat: BigIntStats;
  names(): readonly ByteString[];
  /** Without following a symbolic link; undefined when there is nothing (any more). */
  lookup(name: ByteString): TreeEntry | undefined;
}

/** Anything else. The descriptor is O_PATH: nothing has been opened for real. */
export interface TreeFile extends Disposable {
  readonly kind: "file";
  readonly fd: OwnedFd;
  readonly stat: BigIntStats;
}

export type TreeEntry = TreeDirectory | TreeFile;

/**
 * Copies what a directory shows into an empty directory: names, content with its holes, owners,
 * modes, extended attributes (capabilities and ACLs among them), times to the nanosecond, links hard and symbolic,
 * devices and FIFOs. The directory itself gets the attributes of its model.
 *
 * Nothing is followed and nothing but regular files is opened. Needs root: owners and devices are kept.
 * @param target an empty directory that nobody else works in
 * @throws SystemCallError
 */
export function copyTree(source: TreeDirectory, target: OwnedFd): void {
  new TreeCopier(target).copyDirectory(source, target);
}

/**
 * As {@link copyTree}, for a target that keeps attributes of its own.
 * @param isOutlined see {@link outlineContents}
 * @throws SystemCallError
 */
export function copyContents(source: TreeDirectory, target: OwnedFd, isOutlined = false): void {
  new TreeCopier(target, isOutlined).copyContents(source, target);
}

/** A piece of a file that has content. */
export interface Extent {
  /** Below the directory that is copied to. */
  readonly path: ByteString;
  readonly offset: number;
  readonly length: number;
}

/**
 * Makes the directories and the files, still empty, that {@link copyContents} will write to: so that somebody else can
 * allocate what they will hold, whose memory or quota it is then.
 * @throws SystemCallError
 */
export function outlineContents(source: TreeDirectory, target: OwnedFd): Extent[] {
  const extents: Extent[] = [];
  const linked = new Set<string>();
  const outline = (from: TreeDirectory, to: OwnedFd, prefix: ByteString): void => {
    for (const name of from.names()) {
      using entry = from.lookup(name);
      if (entry === undefined) continue;
      if (entry.kind === "directory") {
        makeDirectoryAt(to.number, name, 0o700);
        using made = openAt(to.number, name, O_RDONLY | O_DIRECTORY);
        outline(entry, made, `${prefix}${name}/`);
      } else if (isType(entry.stat, S_IFREG) && !linked.has(keyOf(entry))) {
        linked.add(keyOf(entry));
        openAt(to.number, name, O_WRONLY | O_CREAT | O_EXCL, 0o600).close();
        using content = openContent(entry);
        for (const extent of extentsOf(content, entry)) extents.push({ path: `${prefix}${name}`, ...extent });
      }
    }
  };
  outline(source, target, "");
  return extents;
}

/** The same for all names of a file. */
function keyOf({ stat }: TreeFile): string {
  return `${stat.dev}:${stat.ino}`;
}

/** Makes a symbolic link, a device, a FIFO or a socket. */
function makeSpecial({ fd, stat }: TreeFile, target: OwnedFd, name: ByteString): OwnedFd {
  const type = Number(stat.mode) & S_IFMT;
  if (type === S_IFLNK) makeSymlinkAt(target.number, name, readLink(fd.number));
  else makeNodeAt(target.number, name, type, Number(stat.rdev));
  const made = openAt(target.number, name, O_PATH);
  const found = fstatSync(made.number, { bigint: true });
  if (isType(found, type) && (type === S_IFLNK || found.rdev === stat.rdev)) return made;
  made.close();
  throw new GockerError("BUSY", `somebody else has taken the place of ${fromByteString(name)}`);
}

/** The content of a regular file, for reading. */
export function openContent({ fd }: TreeFile): OwnedFd {
  return reopen(fd.number, O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

/** Where a file has content, and no holes. lseek(2) */
function* extentsOf(
  content: OwnedFd,
  { stat }: TreeFile,
): Generator<{ readonly offset: number; readonly length: number }> {
  const size = Number(stat.size);
  for (let end = 0; end < size;) {
    const offset = seek(content.number, end, seekData);
    if (offset === undefined) return;
    end = seek(content.number, offset, seekHole) ?? size;
    yield { offset, length: end - offset };
  }
}

/** A directory that contents are copied to. */
export interface TargetDirectory {
  readonly directory: OwnedFd;
  /** It gets the attributes of its model. */
  readonly isNew: boolean;
}

/** Copies entries one after the other, and knows which of them are names of the same file. */
export class TreeCopier {
  readonly #target: OwnedFd;
  /** The names of the directories that lead from the target to where the copier is. */
  readonly #way: ByteString[] = [];
  /**
   * The ways to copies of files that have more names than were met so far, by device and inode of the model. No
   * descriptors: a tree may have more such files, with names outside of it, than a process may have open.
   */
  readonly #linked = new Map<string, { readonly way: readonly ByteString[]; missing: bigint }>();
  readonly #buffer = new Uint8Array(256 * 1024);
  readonly #isOutlined: boolean;

  constructor(target: OwnedFd, isOutlined = false) {
    this.#target = target;
    this.#isOutlined = isOutlined;
  }

  copyDirectory(source: TreeDirectory, target: OwnedFd): void {
    this.copyContents(source, target);
    this.setAttributes(source, target);
  }

  copyContents(source: TreeDirectory, target: OwnedFd): void {
    for (const name of source.names()) {
      using entry = source.lookup(name);
      if (entry !== undefined) this.copyEntry(entry, target, name);
    }
  }

  /** Copies one entry to a name of a directory. */
  copyEntry(entry: TreeEntry, target: OwnedFd, name: ByteString): void {
    if (entry.kind === "file") return this.#copyFile(entry, target, name);
    const { directory, isNew } = this.directoryAt(target, name);
    using made = directory;
    this.#way.push(name);
    this.copyContents(entry, made);
    this.#way.pop();
    if (isNew) this.setAttributes(entry, made);
  }

  /** The directory to which an entry's contents go. */
  protected directoryAt(target: OwnedFd, name: ByteString): TargetDirectory {
    const flags = O_RDONLY | O_DIRECTORY;
    const outlined = this.#isOutlined ? tryOpenAt(target.number, name, flags) : undefined;
    if (outlined !== undefined) return { directory: outlined, isNew: true };
    makeDirectoryAt(target.number, name, 0o700);
    return { directory: openAt(target.number, name, flags), isNew: true };
  }

  /**
   * Called before anything but a directory gets a name, of which there is nothing as long as nobody else works there.
   * @returns false when the entry is not to be copied, or has been
   */
  protected makeRoom(_entry: TreeFile, _target: OwnedFd, _name: ByteString): boolean {
    return true;
  }

  protected setAttributes({ fd, stat }: TreeEntry, copy: OwnedFd): void {
    copyAttributes(fd, stat, copy);
  }

  #copyFile(entry: TreeFile, target: OwnedFd, name: ByteString): void {
    if (!this.makeRoom(entry, target, name)) return;
    const key = keyOf(entry);
    const linked = this.#linked.get(key);
    if (linked !== undefined) {
      using copy = this.#find(linked.way);
      linkAt(copy.number, target.number, name);
      if (--linked.missing === 0n) this.#linked.delete(key);
      return;
    }

    const isRegular = isType(entry.stat, S_IFREG);
    using copy = isRegular ? this.#copyRegular(entry, target, name) : makeSpecial(entry, target, name);
    this.setAttributes(entry, copy);
    if (entry.stat.nlink > 1n) {
      this.#linked.set(key, { way: [...this.#way, name], missing: entry.stat.nlink - 1n });
    }
  }

  #find(way: readonly ByteString[]): OwnedFd {
    let found = openAt(this.#target.number, ".", O_PATH);
    for (const name of way) {
      using parent = found;
      found = openAt(parent.number, name, O_PATH);
    }
    return found;
  }

  /** @returns a descriptor of the very file that was made, whatever has its name by now */
  #copyRegular(entry: TreeFile, target: OwnedFd, name: ByteString): OwnedFd {
    using from = openContent(entry);
    const isNew = this.#isOutlined ? 0 : O_EXCL;
    using to = openAt(target.number, name, O_WRONLY | O_CREAT | isNew | O_NOCTTY, 0o600);
    this.copyBytes(entry, from, to);
    return reopen(to.number, O_PATH);
  }

  /** Copies a file's content, with its holes. */
  protected copyBytes(entry: TreeFile, from: OwnedFd, to: OwnedFd): void {
    for (const { offset, length } of extentsOf(from, entry)) {
      seek(from.number, offset, seekSet);
      seek(to.number, offset, seekSet);
      this.#copyRange(from, to, length);
    }
    if (fileCalls.ftruncate(to.number, Number(entry.stat.size)) < 0) throw systemCallError("ftruncate");
  }

  /** Inside the kernel, which may share the blocks; by hand where file systems cannot. copy_file_range(2) */
  #copyRange(from: OwnedFd, to: OwnedFd, length: number): void {
    let left = length;
    while (left > 0) {
      const number = syscallNumber("copy_file_range");
      const count = Number(libc.syscall(number, from.number, 0, to.number, 0, left, 0));
      if (count === 0) return;
      if (count > 0) left -= count;
      else if (cannotCopyRange.has(errno())) break;
      else if (errno() !== errnos.EINTR) throw systemCallError("copy_file_range");
    }
    while (left > 0) {
      const bytes = readSome(from.number, this.#buffer.subarray(0, Math.min(left, this.#buffer.length)));
      if (bytes.length === 0) return;
      writeAll(to.number, bytes);
      left -= bytes.length;
    }
  }
}

const cannotCopyRange: ReadonlySet<number> = new Set([
  errnos.EXDEV,
  errnos.EINVAL,
  errnos.ENOSYS,
  errnos.EOPNOTSUPP,
  errnos.EPERM,
]);

const seekSet = 0;
const seekData = 3;
const seekHole = 4;

/** lseek(2). Undefined when there is no data (or hole) from `offset` on. */
function seek(fd: number, offset: number, whence: number): number | undefined {
  const position = Number(libc.syscall(syscallNumber("lseek"), fd, offset, whence, 0, 0, 0));
  if (position >= 0) return position;
  if (errno() === errnos.ENXIO) return undefined;
  throw systemCallError("lseek");
}

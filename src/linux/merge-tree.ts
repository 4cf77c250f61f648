import { fstatSync } from "node:fs";
import { ConflictError, GockerError, SystemCallError } from "../util/errors.ts";
import { type ByteString, fromByteString, makeDirectoryAt, openAt, tryOpenAt, unlinkAt } from "./at.ts";
import {
  O_DIRECTORY,
  O_NOCTTY,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFREG,
} from "./constants.ts";
import { mountIdOf } from "./attached-mount.ts";
import { giveAttributes, type NewOwner } from "./copy-attributes.ts";
import { openContent, type TargetDirectory, TreeCopier, type TreeEntry, type TreeFile } from "./copy-tree.ts";
import { errnos, systemCallError } from "./errno.ts";
import type { OwnedFd } from "./fd.ts";
import { isType } from "./file-type.ts";

/** How {@link TreeMerger} copies. */
export interface MergeOptions {
  /**
   * Whom the copies are given to, without rights that come with their owners, and without devices. Absent: everything is
   * kept as it is, owners and attributes too.
   */
  readonly owner?: NewOwner | undefined;
  /** Told of what is left out, in words. */
  readonly onLeftOut?: ((what: string) => void) | undefined;
}

/** How often a name is cleared that somebody else takes at the same time. */
const mostAttempts = 20;

/**
 * Copies entries to where something may be already, and others may be at work: a directory is merged into one of its name,
 * which keeps its own attributes, and any other file takes the place of one that is no directory. Never through a link,
 * whoever puts one there meanwhile: names are made in open directories, and what exists under them is removed or, where
 * something is mounted, written to.
 * @throws ConflictError a directory is in the place of a file, or a file in that of a directory; SystemCallError
 */
export class TreeMerger extends TreeCopier {
  readonly #options: MergeOptions;
  #bytes = 0n;

  /** @param target the directory that everything is copied to, or below */
  constructor(target: OwnedFd, options: MergeOptions) {
    super(target);
    this.#options = options;
  }

  /** How many bytes of files were copied. */
  get bytes(): bigint {
    return this.#bytes;
  }

  protected override directoryAt(target: OwnedFd, name: ByteString): TargetDirectory {
    const existing = openExisting(target, name);
    if (existing !== undefined) return { directory: existing, isNew: false };
    makeDirectoryAt(target.number, name, 0o700);
    // Whoever exchanges it now gets what is copied into it, as in any directory of his.
    return { directory: openAt(target.number, name, O_RDONLY | O_DIRECTORY), isNew: true };
  }

  protected override makeRoom(entry: TreeFile, target: OwnedFd, name: ByteString): boolean {
    const text = fromByteString(name);
    if (this.#options.owner !== undefined && (isType(entry.stat, S_IFCHR) || isType(entry.stat, S_IFBLK))) {
      this.#options.onLeftOut?.(`the device ${text}`);
      return false;
    }
    if (isType(entry.stat, S_IFREG)) this.#bytes += entry.stat.size;
    if (isMountPoint(target, name)) {
      if (this.#writeOver(entry, target, name)) return false;
      throw new ConflictError(`cannot take the place of ${text}: something is mounted there`);
    }
    for (let attempt = 0; attempt < mostAttempts; attempt++) {
      const number = unlinkAt(target.number, name);
      if (number === 0) return true;
      if (number !== errnos.EISDIR) throw systemCallError("unlinkat", { path: text }, number);
      using there = openExisting(target, name);
      if (there !== undefined) {
        throw new ConflictError(`cannot put a file in the place of the directory ${JSON.stringify(text)}`);
      }
    }
    throw new GockerError("BUSY", `cannot take the place of ${text}: somebody else takes it again and again`);
  }

  /** What is mounted is not removed: a file such as /etc/hosts gets the content of the new one, and stays itself. */
  #writeOver(entry: TreeFile, target: OwnedFd, name: ByteString): boolean {
    if (!isType(entry.stat, S_IFREG)) return false;
    using to = tryOpenAt(target.number, name, O_WRONLY | O_TRUNC | O_NONBLOCK | O_NOCTTY);
    if (to === undefined || !fstatSync(to.number).isFile()) return false;
    using from = openContent(entry);
    this.copyBytes(entry, from, to);
    return true;
  }

  protected override setAttributes(entry: TreeEntry, copy: OwnedFd): void {
    const { owner } = this.#options;
    if (owner === undefined) super.setAttributes(entry, copy);
    else giveAttributes(entry.fd, entry.stat, copy, owner);
  }
}

/**
 * Whether something is mounted at a name that is no directory. The kernel keeps a mount from losing its place only in the
 * mount namespace of who asks: in another one the mount goes with the name. unlink(2)
 */
export function isMountPoint(parent: OwnedFd, name: ByteString): boolean {
  using there = tryOpenAt(parent.number, name, O_PATH);
  return there !== undefined && mountIdOf(there.number) !== mountIdOf(parent.number);
}

/**
 * The directory of a name.
 * @returns undefined when there is nothing of that name
 * @throws ConflictError it is no directory
 */
export function openExisting(parent: OwnedFd, name: ByteString): OwnedFd | undefined {
  try {
    return tryOpenAt(parent.number, name, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    if (!(error instanceof SystemCallError) || !["ENOTDIR", "ELOOP"].includes(error.errnoName)) throw error;
    const text = JSON.stringify(fromByteString(name));
    throw new ConflictError(`cannot put a directory in the place of ${text}, which is none`, { cause: error });
  }
}

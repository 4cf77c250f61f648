import { fstatSync, statSync } from "node:fs";
import { type ByteString, fromByteString, openInDirectory, readLink, toByteString } from "../../linux/at.ts";
import { O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_RDONLY, S_IFDIR, S_IFLNK } from "../../linux/constants.ts";
import type { TreeEntry } from "../../linux/copy-tree.ts";
import type { OwnedFd } from "../../linux/fd.ts";
import { isType } from "../../linux/file-type.ts";
import { ConflictError, NotFoundError, UsageError } from "../../util/errors.ts";
import { VisibleDirectory } from "./visible-directory.ts";

/** A path on one side of a copy: the host's or a container's. No link on it leads out of the root directory. */
export interface Place {
  readonly root: OwnedFd;
  /** From the root; a slash, `/.` or `/..` at the end say that it is a directory. */
  readonly path: string;
  /** For messages: `web:/etc/passwd`. */
  readonly name: string;
  /** Of the host: the root is its own. */
  readonly isHost?: boolean;
}

/** As many as the kernel follows on one path. path_resolution(7) */
const maximumLinks = 40;

/** What is to be copied. */
export interface Source extends Disposable {
  readonly entry: TreeEntry;
  /** The name that it gets in a directory; undefined when only its contents are meant (`DIR/.`). */
  readonly name: ByteString | undefined;
}

/**
 * Finds what is to be copied.
 * @param follow a link at the end of the path stands for what it leads to
 * @throws NotFoundError there is nothing; UsageError a file is named as a directory; SystemCallError
 */
export function openSource({ root, path, name }: Place, follow: boolean): Source {
  const isDirectoryName = endsAsDirectory(path);
  const flags = O_PATH | O_CLOEXEC | (follow || isDirectoryName ? 0 : O_NOFOLLOW);
  const fd = openInDirectory(root.number, path, flags);
  if (fd === undefined) throw new NotFoundError(`there is nothing at ${name}`);
  const stat = fstatSync(fd.number, { bigint: true });
  const base = lastName(path);
  const close = () => fd.close();
  if (isType(stat, S_IFDIR)) {
    const entry = new VisibleDirectory(fd);
    return { entry, name: base, [Symbol.dispose]: close };
  }
  if (isDirectoryName) {
    close();
    throw new UsageError(`${name} is no directory`);
  }
  return { entry: { kind: "file", fd, stat, [Symbol.dispose]: close }, name: base, [Symbol.dispose]: close };
}

/** Where a copy goes: into a directory, under a name or, for contents only, without one. */
export interface Target extends Disposable {
  readonly directory: OwnedFd;
  readonly name: ByteString | undefined;
}

/**
 * Finds where a copy goes, by docker's rules: into a directory that is there under the source's own name, else to the path
 * itself, whose parent must be there. A link at its end is followed, also one to nothing.
 * @throws NotFoundError a directory is missing; ConflictError a directory is to take the place of a file, or a copy that of
 *   a device, a pipe or a socket of the host; SystemCallError
 */
export function openTarget(place: Place, source: Pick<Source, "entry" | "name">): Target {
  const existing = openDirectoryIn(place, place.path);
  if (existing !== undefined) return target(existing, source.name);
  const isDirectory = source.entry.kind === "directory";
  const { path, exists } = followLinks(place);
  if (place.isHost === true) checkHostFile(place);
  if (exists && (isDirectory || endsAsDirectory(place.path))) throw new ConflictError(`${place.name} is no directory`);
  if (!exists && !isDirectory && endsAsDirectory(place.path)) {
    throw new NotFoundError(`there is no directory ${place.name}`);
  }
  const name = lastName(path);
  const parent = openDirectoryIn(place, parentOf(path));
  if (parent === undefined || name === undefined) {
    parent?.close();
    throw new NotFoundError(`there is no directory in which ${place.name} could be made`);
  }
  return target(parent, name);
}

/** What is no file is there for others. As with docker, whose copies do not take its place. */
function checkHostFile({ path, name }: Place): void {
  // In the plain way: /dev/stdout is what it leads to.
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined || found.isFile() || found.isDirectory()) return;
  throw new ConflictError(`${name} is neither a directory nor a regular file`, {
    hint: "- in its place writes a tar archive to standard output",
  });
}

/** The directory at a place. @throws NotFoundError there is nothing, or no directory; SystemCallError */
export function openDirectoryAt(place: Place): OwnedFd {
  const directory = openDirectoryIn(place, place.path);
  if (directory === undefined) throw new NotFoundError(`there is no directory ${place.name}`);
  return directory;
}

function target(directory: OwnedFd, name: ByteString | undefined): Target {
  return { directory, name, [Symbol.dispose]: () => directory.close() };
}

function openDirectoryIn({ root }: Place, path: string): OwnedFd | undefined {
  return openInDirectory(root.number, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/** Where a path leads whose last names may be links, and whether anything is there. */
function followLinks({ root, path, name }: Place): { readonly path: string; readonly exists: boolean } {
  let current = path.replace(/\/+$/, "");
  for (let links = 0; links <= maximumLinks; links++) {
    using found = openInDirectory(root.number, current, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (found === undefined) return { path: current, exists: false };
    if (!isType(fstatSync(found.number, { bigint: true }), S_IFLNK)) return { path: current, exists: true };
    const link = fromByteString(readLink(found.number)).replace(/\/+$/, "");
    current = link.startsWith("/") ? link : `${parentOf(current)}/${link}`;
  }
  throw new ConflictError(`the links at ${name} run in a circle`);
}

/** Whether a path names a directory by its form. */
function endsAsDirectory(path: string): boolean {
  return /(?:^|\/)\.{0,2}$/.test(path);
}

/** Undefined for paths that end in `.` or `..`, and for the root. */
function lastName(path: string): ByteString | undefined {
  const name = /([^/]*)\/*$/.exec(path)?.[1] ?? "";
  return name === "" || name === "." || name === ".." ? undefined : toByteString(name);
}

/** The path of the directory that a path's last name is in. */
function parentOf(path: string): string {
  const parent = path.replace(/\/*[^/]*\/*$/, "");
  return parent === "" ? "/" : parent;
}

import { type BigIntStats, fstatSync } from "node:fs";
import { type ByteString, namesIn, tryOpenAt } from "../linux/at.ts";
import { O_DIRECTORY, O_PATH, O_RDONLY, S_IFCHR, S_IFDIR } from "../linux/constants.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { isType } from "../linux/file-type.ts";
import { opaqueAttribute, yes } from "../linux/overlay.ts";
import { getXattr } from "../linux/xattr.ts";
import type { LayeredDirectory, LayeredEntry } from "./layered-root.ts";

/** Added, changed or deleted: docker's letters. */
export type ChangeKind = "A" | "C" | "D";

/** A path of a container that is not as in its image. */
export interface Change {
  readonly kind: ChangeKind;
  /** Absolute. */
  readonly path: ByteString;
}

/**
 * What a container has changed of its image's files, as its overlay's upper directory tells, in the order of the paths. A
 * directory is changed when its owner or mode is, or anything in it. overlayfs.rst, "whiteouts and opaque directories"
 * @param upper the container's own directory
 * @param lower what its layers show
 * @throws SystemCallError
 */
export function changesOf(upper: OwnedFd, lower: LayeredDirectory): Change[] {
  const changes: Change[] = [];
  compareNames(upper, lower, "", changes);
  return changes.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** @param lower what the directory hides or merges with; undefined when there is nothing */
function compareNames(upper: OwnedFd, lower: LayeredDirectory | undefined, path: ByteString, changes: Change[]): void {
  for (const name of namesIn(upper.number)) {
    using entry = tryOpenAt(upper.number, name, O_PATH);
    // Who works in the container may have removed it by now.
    if (entry === undefined) continue;
    using before = lower?.lookup(name);
    compare(entry, before, { parent: upper, name, path: `${path}/${name}` }, changes);
  }
}

interface Place {
  readonly parent: OwnedFd;
  readonly name: ByteString;
  readonly path: ByteString;
}

function compare(entry: OwnedFd, before: LayeredEntry | undefined, place: Place, changes: Change[]): void {
  const { path } = place;
  const stat = fstatSync(entry.number, { bigint: true });
  if (isType(stat, S_IFCHR) && stat.rdev === 0n) {
    // One that hides nothing is left of a file that was made and removed.
    if (before !== undefined) changes.push({ kind: "D", path });
    return;
  }
  if (!isType(stat, S_IFDIR)) {
    if (before === undefined) changes.push({ kind: "A", path });
    else if (before.kind === "directory" || isOther(entry, stat, before)) changes.push({ kind: "C", path });
    return;
  }
  using directory = tryOpenAt(place.parent.number, place.name, O_RDONLY | O_DIRECTORY);
  if (directory === undefined) return;
  const below: Change[] = [];
  const beneath = before?.kind === "directory" ? before : undefined;
  compareNames(directory, beneath, path, below);
  if (beneath !== undefined && isOpaque(directory)) addHidden(directory, beneath, path, below);
  const isChanged = before !== undefined && (beneath === undefined || below.length > 0 || hasOtherOwner(stat, beneath));
  if (before === undefined) changes.push({ kind: "A", path });
  else if (isChanged) changes.push({ kind: "C", path });
  changes.push(...below);
}

/** What an opaque directory does not show of the one below it, as if each name had been removed. */
function addHidden(directory: OwnedFd, beneath: LayeredDirectory, path: ByteString, changes: Change[]): void {
  for (const name of beneath.names()) {
    using entry = tryOpenAt(directory.number, name, O_PATH);
    if (entry === undefined) changes.push({ kind: "D", path: `${path}/${name}` });
  }
}

function isOpaque(directory: OwnedFd): boolean {
  const value = getXattr(directory.number, opaqueAttribute);
  return value !== undefined && Buffer.compare(value, yes) === 0;
}

function hasOtherOwner(stat: BigIntStats, before: Pick<LayeredEntry, "stat">): boolean {
  const { mode, uid, gid } = before.stat;
  return stat.mode !== mode || stat.uid !== uid || stat.gid !== gid;
}

/** Whether a file is another one than before: one that was only opened for writing is copied up, too. */
function isOther(entry: OwnedFd, stat: BigIntStats, before: LayeredEntry): boolean {
  const { rdev, size, mtimeNs } = before.stat;
  if (hasOtherOwner(stat, before) || stat.rdev !== rdev || stat.size !== size || stat.mtimeNs !== mtimeNs) return true;
  const capabilities = (fd: OwnedFd) => getXattr(fd.number, "security.capability") ?? new Uint8Array(0);
  return Buffer.compare(capabilities(entry), capabilities(before.fd)) !== 0;
}

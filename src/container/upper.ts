import { chmodSync, fstatSync } from "node:fs";
import { type ByteString, makeDirectoryAt, namesIn, openAt, openDirectory } from "../linux/at.ts";
import { O_DIRECTORY, O_RDONLY } from "../linux/constants.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { impliedAttribute, incompleteAttribute, opaqueAttribute } from "../linux/overlay.ts";
import { listXattrs } from "../linux/xattr.ts";
import { copyAttributes } from "../linux/copy-attributes.ts";
import { type LayeredDirectory, LayeredRoot } from "./layered-root.ts";

/** A layer's directory, and which attributes of linux/overlay.ts its root has. */
export interface MarkedLayer {
  readonly directory: string;
  readonly marks: readonly string[];
}

/** @param directories of an image's layers, the lowest first @throws SystemCallError */
export function readLayers(directories: readonly string[]): MarkedLayer[] {
  return directories.map((directory) => {
    using root = openDirectory(directory);
    return { directory, marks: listXattrs(root.number) };
  });
}

/**
 * The layers that show in the container: none below one whose root is opaque. The kernel looks for that mark on
 * directories within a layer, never on the layer itself.
 * @param layers the lowest first
 */
export function visibleLayers(layers: readonly MarkedLayer[]): readonly MarkedLayer[] {
  const lowest = layers.findLastIndex(({ marks }) => marks.includes(opaqueAttribute));
  return lowest <= 0 ? layers : layers.slice(lowest);
}

/**
 * Prepares the directory that takes the container's changes, which is empty. The overlay shows its owner, mode, attributes and times as
 * those of `/`, so they are the image's: of the uppermost layer that names its root. For directories further down that
 * layers imply only, it has what overlayfs would not find.
 * @param layers all of the image's, the lowest first: what an opaque root hides are the names in it, not its attributes
 * @throws SystemCallError
 */
export function fillUpper(path: string, layers: readonly MarkedLayer[]): void {
  using upper = openDirectory(path);
  const top = layers.findLast(({ marks }) => !marks.includes(impliedAttribute));
  // The root of an image that never names it is as other directories that are made for want of one.
  if (top === undefined) chmodSync(path, 0o755);
  const visible = visibleLayers(layers);
  const incomplete = visible.slice(1).filter(({ marks }) => marks.includes(incompleteAttribute));
  if (incomplete.length > 0) {
    using root = LayeredRoot.open(visible.map(({ directory }) => directory));
    using merged = root.resolve("/") as LayeredDirectory;
    const wanted: Names = new Map();
    for (const { directory } of incomplete) {
      using layer = openDirectory(directory);
      findImplied(layer, merged, wanted);
    }
    makeDirectories(upper, merged, wanted);
  }
  if (top === undefined) return;
  using model = openDirectory(top.directory);
  copyAttributes(model, fstatSync(model.number, { bigint: true }), upper);
}

/** Names of directories, each with those wanted in it. */
type Names = Map<ByteString, Names>;

/** Adds the directories that a layer implies and a lower one names, and those on the way to them. */
function findImplied(layer: OwnedFd, merged: LayeredDirectory, wanted: Names): void {
  for (const name of namesIn(layer.number)) {
    using entry = merged.lookup(name);
    // Where only one layer has a directory, and all below it, nothing of another is to be found.
    if (entry?.kind !== "directory" || entry.width < 2) continue;
    using below = openAt(layer.number, name, O_RDONLY | O_DIRECTORY);
    const names = wanted.get(name) ?? new Map();
    findImplied(below, entry, names);
    if (entry.isImplied || names.size > 0) wanted.set(name, names);
  }
}

function makeDirectories(upper: OwnedFd, merged: LayeredDirectory, wanted: Names): void {
  for (const [name, names] of wanted) {
    using entry = merged.lookup(name) as LayeredDirectory;
    makeDirectoryAt(upper.number, name, 0o700);
    using made = openAt(upper.number, name, O_RDONLY | O_DIRECTORY);
    makeDirectories(made, entry, names);
    // Last: what is made in a directory changes its time.
    copyAttributes(entry.fd, entry.stat, made);
  }
}

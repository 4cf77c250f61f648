import { chmodSync, fstatSync, mkdirSync } from "node:fs";
import { type ByteString, makeDirectoryAt, namesIn, openAt, openDirectory } from "../linux/at.ts";
import { O_DIRECTORY, O_RDONLY } from "../linux/constants.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { impliedAttribute, incompleteAttribute, opaqueAttribute } from "../linux/overlay.ts";
import { copyAttributes } from "./copy-tree.ts";
import { isMarked, type LayeredDirectory, LayeredRoot } from "./layered-root.ts";

/**
 * The layers that show in the container: none below one whose root is opaque. The kernel looks for that mark on
 * directories within a layer, never on the layer itself.
 * @param layers directories, the lowest first
 */
export function visibleLayers(layers: readonly string[]): readonly string[] {
  const lowest = layers.findLastIndex((layer) => isLayerMarked(layer, opaqueAttribute));
  return lowest <= 0 ? layers : layers.slice(lowest);
}

/**
 * Makes the directory that takes the container's changes. The overlay shows its owner, mode, attributes and times as
 * those of `/`, so they are the image's: of the uppermost layer that names its root. For directories further down that
 * layers imply only, it has what overlayfs would not find.
 * @param layers all of the image's, the lowest first: what an opaque root hides are the names in it, not its attributes
 * @param visible of {@link visibleLayers}
 * @throws SystemCallError
 */
export function makeUpper(path: string, layers: readonly string[], visible: readonly string[]): void {
  mkdirSync(path, { mode: 0o700 });
  using upper = openDirectory(path);
  const top = layers.findLast((layer) => !isLayerMarked(layer, impliedAttribute));
  // The root of an image that never names it is as other directories that are made for want of one.
  if (top === undefined) chmodSync(path, 0o755);
  const incomplete = visible.slice(1).filter((layer) => isLayerMarked(layer, incompleteAttribute));
  if (incomplete.length > 0) {
    using root = LayeredRoot.open(visible);
    using merged = root.resolve("/") as LayeredDirectory;
    const wanted: Names = new Map();
    for (const layer of incomplete) {
      using directory = openDirectory(layer);
      findImplied(directory, merged, wanted);
    }
    makeDirectories(upper, merged, wanted);
  }
  if (top === undefined) return;
  using model = openDirectory(top);
  copyAttributes(model, fstatSync(model.number, { bigint: true }), upper);
}

function isLayerMarked(layer: string, attribute: string): boolean {
  using root = openDirectory(layer);
  return isMarked(root, attribute);
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

import { readdirSync, renameSync, rmSync, statSync, unlinkSync } from "node:fs";
import { rm } from "node:fs/promises";
import { FileLock } from "../linux/lock.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import { type ContentSet, newTrash, recordedContent } from "./content.ts";
import { honourLease, isLease } from "./lease.ts";
import type { StorePaths } from "./paths.ts";
import type { ImageStore } from "./store.ts";
import { readLayerRecord } from "./stored-image.ts";

/** How long the arrived part of a broken download is kept for being resumed; in milliseconds. */
const partialBlobLife = 24 * 60 * 60 * 1000;

/** What {@link collectGarbage} may take. */
export interface GarbageOptions {
  /** Layers (diff IDs) that containers use; asked for while the store is locked. */
  readonly inUse?: () => Iterable<Digest>;
  /** Nothing but these is looked at. */
  readonly only?: ContentSet;
}

/** What {@link collectGarbage} took away. */
export interface Collected {
  readonly blobs: number;
  readonly layers: number;
  /** What they took: blobs as they are, layers as the tar archives that they came from. */
  readonly bytes: number;
}

/**
 * Removes the blobs and layers that no image of the index, no container and no pull or load under way needs. What a
 * pull has begun to use, it has leased before it looked whether it is there.
 */
export async function collectGarbage(store: ImageStore, options: GarbageOptions = {}): Promise<Collected> {
  const { paths } = store;
  const trash: string[] = [];
  let blobs = 0;
  let bytes = 0;
  {
    using _lock = await store.lock();
    const kept = recordedContent(paths);
    for (const name of readdirSync(paths.temporary)) if (isLease(name)) honourLease(paths, name, kept);
    for (const diffId of options.inUse?.() ?? []) kept.layers.add(diffId);
    for (const [digest, path] of digestsIn(paths.blobs)) {
      if (kept.blobs.has(digest) || options.only?.blobs.has(digest) === false) continue;
      bytes += statSync(path).size;
      unlinkSync(path);
      blobs++;
    }
    for (const [diffId, path] of digestsIn(paths.layers)) {
      if (kept.layers.has(diffId) || options.only?.layers.has(diffId) === false) continue;
      // Moved while locked, deleted afterwards: a large layer takes seconds.
      bytes += readLayerRecord(paths, diffId)?.size ?? 0;
      const aside = newTrash(paths);
      renameSync(path, aside);
      rmSync(paths.layerRecord(diffId), { force: true });
      trash.push(aside);
    }
    // Preparations of atomic writes exist only under this lock: these belong to processes that died.
    for (const directory of [paths.images, paths.blobs, paths.layers]) {
      for (const name of readdirSync(directory)) {
        if (name.startsWith(".") && name.endsWith(".new")) rmSync(`${directory}/${name}`, { force: true });
      }
    }
  }
  for (const directory of trash) await rm(directory, { recursive: true, force: true });
  return { blobs, layers: trash.length, bytes };
}

/**
 * Clears away what dead processes left in the store's `tmp`: half-unpacked layers at once, parts of blobs when they are
 * too old to be worth resuming. What a living process works on is locked and stays.
 */
export async function sweepTemporary(paths: StorePaths): Promise<void> {
  let names: string[];
  try {
    names = readdirSync(paths.temporary);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  const blobs = new Set<Digest>();
  for (const name of names) {
    const work = /^([0-9a-f]{64})\.(?:blob|layer|lock)$/.exec(name)?.[1];
    if (work !== undefined) blobs.add(`sha256:${work}`);
    else if (isLease(name)) FileLock.tryAcquire(`${paths.temporary}/${name}`, "exclusive")?.removeAndRelease();
    else if (name.startsWith("trash-")) await rm(`${paths.temporary}/${name}`, { recursive: true, force: true });
  }
  for (const blob of blobs) await sweepWork(paths, blob);
}

async function sweepWork(paths: StorePaths, blob: Digest): Promise<void> {
  const lock = FileLock.tryAcquire(paths.workLock(blob), "exclusive");
  if (lock === undefined) return;
  try {
    await rm(paths.partialLayer(blob), { recursive: true, force: true });
    const partial = statSync(paths.partialBlob(blob), { throwIfNoEntry: false });
    if (partial !== undefined && Date.now() - partial.mtimeMs > partialBlobLife) {
      rmSync(paths.partialBlob(blob), { force: true });
    }
  } finally {
    lock.removeAndRelease();
  }
}

function digestsIn(directory: string): [Digest, string][] {
  return readdirSync(directory).flatMap((name) => {
    const digest = `sha256:${name}`;
    return isDigest(digest) ? [[digest, `${directory}/${name}`] as [Digest, string]] : [];
  });
}

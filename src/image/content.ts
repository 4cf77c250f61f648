import { existsSync, renameSync, statSync, unlinkSync } from "node:fs";
import { bootId } from "../linux/boot-id.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { writeFileAtomic } from "../util/atomic-file.ts";
import { readEntries } from "./index-file.ts";
import type { StorePaths } from "./paths.ts";
import { readImage, readLayerRecord } from "./stored-image.ts";
import { StoreDamagedError } from "./errors.ts";

/** Blobs and unpacked layers, by digest. */
export interface ContentSet {
  readonly blobs: ReadonlySet<Digest>;
  readonly layers: ReadonlySet<Digest>;
}

/**
 * Everything that the index's images consist of. Images that are damaged count with what can be read of them.
 * @param which which entries to look at: all unless told
 */
export function recordedContent(
  paths: StorePaths,
  which: (entry: Descriptor) => boolean = () => true,
): { blobs: Set<Digest>; layers: Set<Digest> } {
  const entries = readEntries(paths).filter(which);
  const manifests = new Set<Digest>(entries.map((entry) => entry.digest));
  const blobs = new Set(manifests);
  const layers = new Set<Digest>();
  for (const digest of manifests) {
    try {
      const { manifest, config } = readImage(
        paths,
        digest,
        entries.filter((entry) => entry.digest === digest),
      );
      blobs.add(manifest.config.digest);
      for (const layer of manifest.layers) blobs.add(layer.digest);
      for (const diffId of config.rootfs.diff_ids) layers.add(diffId);
    } catch (error) {
      if (!(error instanceof StoreDamagedError)) throw error;
    }
  }
  return { blobs, layers };
}

/**
 * What is in the store, and how far it can be trusted: what the index's images consist of, if it is certain of them.
 * Anything else may be a file with holes if the power failed since, which shows in another boot ID (layers) or in the
 * digest (blobs).
 */
export class Content {
  readonly #paths: StorePaths;
  readonly #recorded: ContentSet;
  readonly #boot: string;

  constructor(paths: StorePaths, recorded: ContentSet) {
    this.#paths = paths;
    this.#recorded = recorded;
    this.#boot = bootId();
  }

  /** Whether the blob is there; `certain` says that its bytes need not be hashed again. */
  findBlob(descriptor: Pick<Descriptor, "digest" | "size">): { certain: boolean } | undefined {
    const status = statSync(this.#paths.blob(descriptor.digest), { throwIfNoEntry: false });
    if (status === undefined || status.size !== descriptor.size) return undefined;
    return { certain: this.#recorded.blobs.has(descriptor.digest) };
  }

  /** Whether the layer is there, unpacked to its end. */
  hasLayer(diffId: Digest): boolean {
    if (!existsSync(this.#paths.layer(diffId))) return false;
    return this.#recorded.layers.has(diffId) || readLayerRecord(this.#paths, diffId)?.boot === this.#boot;
  }

  /** Makes the file a blob of the store. */
  publishBlob(file: string, digest: Digest): void {
    renameSync(file, this.#paths.blob(digest));
  }

  /** Removes a blob that turned out not to be what it is called. */
  dropBlob(digest: Digest): void {
    unlinkSync(this.#paths.blob(digest));
  }

  /**
   * Makes the directory the layer's own, or leaves it where it is when the layer is there already. Only for the holder
   * of the exclusive store lock.
   */
  publishLayer(directory: string, diffId: Digest, facts: { size: number; entries: number }): void {
    if (this.hasLayer(diffId)) return;
    const target = this.#paths.layer(diffId);
    if (existsSync(target)) renameSync(target, newTrash(this.#paths));
    writeFileAtomic(this.#paths.layerRecord(diffId), JSON.stringify({ ...facts, boot: this.#boot }));
    renameSync(directory, target);
  }
}

/** A name under which something can be put aside to be deleted: see `sweepTemporary`. */
export function newTrash(paths: StorePaths): string {
  return `${paths.temporary}/trash-${crypto.randomUUID()}`;
}

import { mkdirSync } from "node:fs";
import { type Digest, digestHex } from "../oci/digest.ts";

/** Where things lie under the store's root directory. */
export class StorePaths {
  readonly root: string;
  /** An OCI image layout: `oci-layout`, `index.json`, `blobs/sha256/`. */
  readonly images: string;
  readonly index: string;
  readonly blobs: string;
  /** One unpacked directory for each layer, named by its diff ID, and beside it `<diff ID>.json`. */
  readonly layers: string;
  /** What is not whole yet, and the locks of those who work on it. */
  readonly temporary: string;
  /** Exclusive: for changing the index or removing content. Shared: for keeping what the index names. */
  readonly lock: string;

  constructor(root: string) {
    this.root = root;
    this.images = `${root}/images`;
    this.index = `${this.images}/index.json`;
    this.blobs = `${this.images}/blobs/sha256`;
    this.layers = `${root}/layers`;
    this.temporary = `${root}/tmp`;
    this.lock = `${root}/images.lock`;
  }

  blob(digest: Digest): string {
    return `${this.blobs}/${digestHex(digest)}`;
  }

  layer(diffId: Digest): string {
    return `${this.layers}/${digestHex(diffId)}`;
  }

  layerRecord(diffId: Digest): string {
    return `${this.layers}/${digestHex(diffId)}.json`;
  }

  /** The part of a blob that has arrived; it outlives a broken download and is resumed. */
  partialBlob(blob: Digest): string {
    return `${this.temporary}/${digestHex(blob)}.blob`;
  }

  /** The directory into which a blob is being unpacked; it belongs to the holder of {@link workLock}. */
  partialLayer(blob: Digest): string {
    return `${this.temporary}/${digestHex(blob)}.layer`;
  }

  /** Held by the one process that downloads and unpacks the blob. */
  workLock(blob: Digest): string {
    return `${this.temporary}/${digestHex(blob)}.lock`;
  }

  /** Makes the directories that are missing. They are root's alone: layers hold setuid programs. */
  create(): void {
    for (const directory of [this.blobs, this.layers, this.temporary]) {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
    }
  }
}

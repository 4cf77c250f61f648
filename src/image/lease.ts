import { writeFileSync } from "node:fs";
import { bootId } from "../linux/boot-id.ts";
import { FileLock } from "../linux/lock.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import { type ContentSet, recordedContent } from "./content.ts";
import type { StorePaths } from "./paths.ts";
import { isCertain } from "./settle.ts";
import type { ImageStore } from "./store.ts";
import { readIfThere } from "../util/read-if-there.ts";

const prefix = "lease-";

/** Whether a file of the store's `tmp` is a lease. */
export function isLease(name: string): boolean {
  return name.startsWith(prefix);
}

/**
 * Keeps content that the index does not name yet from being collected as garbage, while an image is being pulled or
 * loaded. It is a locked file, so it ends with its process.
 */
export class Lease implements Disposable {
  readonly content: ContentSet;
  /** What the images of the index that are certain consisted of when the lease was taken: from then on it stays. */
  readonly recorded: ContentSet;
  readonly #file: FileLock;

  private constructor(file: FileLock, content: ContentSet, recorded: ContentSet) {
    this.#file = file;
    this.content = content;
    this.recorded = recorded;
  }

  static async take(store: ImageStore, content: ContentSet, signal?: AbortSignal): Promise<Lease> {
    using _lock = await store.lock(signal);
    const boot = bootId();
    const recorded = recordedContent(store.paths, (entry) => isCertain(entry, () => boot));
    const file = await FileLock.acquire(`${store.paths.temporary}/${prefix}${crypto.randomUUID()}`, "exclusive");
    try {
      writeFileSync(file.path, JSON.stringify({ blobs: [...content.blobs], layers: [...content.layers] }));
    } catch (error) {
      file.removeAndRelease();
      throw error;
    }
    return new Lease(file, content, recorded);
  }

  [Symbol.dispose](): void {
    this.#file.removeAndRelease();
  }
}

/**
 * Adds what a lease keeps to `kept`, or removes the lease if its process is gone. Only for the holder of the exclusive
 * store lock: leases are written under it, so that none is read by halves.
 */
export function honourLease(paths: StorePaths, name: string, kept: { blobs: Set<Digest>; layers: Set<Digest> }): void {
  const path = `${paths.temporary}/${name}`;
  const stale = FileLock.tryAcquire(path, "exclusive");
  if (stale !== undefined) {
    stale.removeAndRelease();
    return;
  }
  const text = readIfThere(path) ?? "";
  // Not a lease, but what somebody who looks for dead ones makes for a moment by locking it.
  if (text === "") return;
  const lease = JSON.parse(text) as { blobs: unknown[]; layers: unknown[] };
  for (const digest of lease.blobs) if (isDigest(digest)) kept.blobs.add(digest);
  for (const digest of lease.layers) if (isDigest(digest)) kept.layers.add(digest);
}

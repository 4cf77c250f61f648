import { rmSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { FileLock } from "../linux/lock.ts";
import type { Digest } from "../oci/digest.ts";
import type { Semaphore } from "../util/semaphore.ts";
import type { BlobSource } from "./blob-source.ts";
import type { Content } from "./content.ts";
import { download } from "./download.ts";
import { BlobMismatchError } from "./errors.ts";
import { type Layer, LayerIntake, type StartUnpacker } from "./layer-intake.ts";
import type { ProgressListener } from "./progress.ts";
import type { ImageStore } from "./store.ts";

/** What all layers of one pull or load have in common. */
export interface InstallContext {
  readonly store: ImageStore;
  readonly content: Content;
  readonly startUnpacker: StartUnpacker;
  /** How many layers are downloaded and unpacked at once. */
  readonly places: Semaphore;
  readonly signal: AbortSignal;
  readonly onProgress: ProgressListener;
  /** What this pull or load has added to the store. */
  readonly added: { readonly blobs: Set<Digest>; readonly layers: Set<Digest> };
}

/**
 * Brings one layer into the store, as a blob and unpacked, as far as it is not there. When another process is at it,
 * this one waits, takes over when that one dies, and finds the work done when it does not.
 * @throws VerificationError, InvalidDocumentError, DownloadError, the source's and the unpacker's errors
 */
export async function installLayer(context: InstallContext, layer: Layer, source: BlobSource): Promise<void> {
  const { store, signal, onProgress } = context;
  const { digest, size } = layer.descriptor;
  const lock = await FileLock.acquire(store.paths.workLock(digest), "exclusive", {
    signal,
    onWait: () => onProgress({ kind: "waiting", layer: { digest, size } }),
  });
  try {
    using _place = await context.places.enter();
    signal.throwIfAborted();
    await new LayerInstallation(context, layer, source).run();
  } finally {
    lock.removeAndRelease();
  }
}

/** The work of {@link installLayer}, by the holder of the layer's lock. */
class LayerInstallation {
  readonly #context: InstallContext;
  readonly #layer: Layer;
  readonly #source: BlobSource;
  readonly #partial: string;

  constructor(context: InstallContext, layer: Layer, source: BlobSource) {
    this.#context = context;
    this.#layer = layer;
    this.#source = source;
    this.#partial = context.store.paths.partialBlob(layer.descriptor.digest);
  }

  async run(): Promise<void> {
    const { content, onProgress } = this.#context;
    const { digest, size } = this.#layer.descriptor;
    const blob = content.findBlob(this.#layer.descriptor);
    if (blob?.certain === true && content.hasLayer(this.#layer.diffId)) {
      onProgress({ kind: "exists", layer: { digest, size } });
      return;
    }
    const isDone =
      (blob !== undefined &&
        (await this.#unlessMismatch(
          () => this.#fromBlob(),
          () => content.dropBlob(digest),
        ))) ||
      (this.#leftover() > 0 &&
        (await this.#unlessMismatch(
          () => this.#fromSource(),
          () => this.#dropPartial(),
        )));
    if (!isDone) {
      // What another process may have left there could not be used.
      this.#dropPartial();
      try {
        await this.#fromSource();
      } catch (error) {
        if (error instanceof BlobMismatchError) this.#dropPartial();
        throw error;
      }
    }
    onProgress({ kind: "done", layer: { digest, size } });
  }

  /** Unpacks the blob that the store has, or only checks it. */
  async #fromBlob(): Promise<void> {
    const { store, signal } = this.#context;
    await using intake = await this.#openIntake(undefined);
    await intake.takeFile(store.paths.blob(this.#layer.descriptor.digest), signal);
    await this.#publish(await intake.finish());
  }

  /** Downloads the blob, going on from what {@link #partial} holds, and unpacks it meanwhile. */
  async #fromSource(): Promise<void> {
    const { content, signal, onProgress, added } = this.#context;
    const { digest, size } = this.#layer.descriptor;
    await using intake = await this.#openIntake(this.#partial);
    await intake.takeKept(signal);
    await download(this.#source, this.#layer.descriptor, intake, {
      signal,
      onReceived: (bytes) => onProgress({ kind: "downloading", layer: { digest, size }, bytes }),
      onRetry: (delay, reason) => onProgress({ kind: "retrying", layer: { digest, size }, delay, reason }),
    });
    const facts = await intake.finish();
    content.publishBlob(this.#partial, digest);
    added.blobs.add(digest);
    await this.#publish(facts);
  }

  #openIntake(keepIn: string | undefined): Promise<LayerIntake> {
    const { store, content, startUnpacker, onProgress } = this.#context;
    const { digest, size } = this.#layer.descriptor;
    return LayerIntake.open({
      layer: this.#layer,
      keepIn,
      unpackInto: content.hasLayer(this.#layer.diffId) ? undefined : store.paths.partialLayer(digest),
      startUnpacker,
      onUnpacked: (bytes) => onProgress({ kind: "unpacking", layer: { digest, size }, bytes }),
    });
  }

  async #publish(facts: { size: number; entries: number } | undefined): Promise<void> {
    if (facts === undefined) return;
    const { store, content, signal, added } = this.#context;
    const { diffId, descriptor } = this.#layer;
    using _lock = await store.lock(signal);
    const directory = store.paths.partialLayer(descriptor.digest);
    content.publishLayer(directory, diffId, { size: facts.size, entries: facts.entries });
    added.layers.add(diffId);
  }

  /** Whether the work could be done; false after `drop` when the bytes that were here turned out to be wrong. */
  async #unlessMismatch(work: () => Promise<void>, drop: () => void): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof BlobMismatchError)) throw error;
      drop();
      return false;
    }
  }

  #leftover(): number {
    return statSync(this.#partial, { throwIfNoEntry: false })?.size ?? 0;
  }

  #dropPartial(): void {
    rmSync(this.#partial, { force: true });
  }
}

/** Removes what is left of layers that must not be resumed: their bytes are known to be wrong. */
export async function dropPartials(store: ImageStore, blobs: Iterable<Digest>): Promise<void> {
  for (const digest of blobs) {
    const lock = FileLock.tryAcquire(store.paths.workLock(digest), "exclusive");
    if (lock === undefined) continue;
    try {
      rmSync(store.paths.partialBlob(digest), { force: true });
      await rm(store.paths.partialLayer(digest), { recursive: true, force: true });
    } finally {
      lock.removeAndRelease();
    }
  }
}

import { readFileSync } from "node:fs";
import type { Descriptor } from "../oci/descriptor.ts";
import { type Digest, digestOf } from "../oci/digest.ts";
import { checkLayerCount, type ImageConfig } from "../oci/image-config.ts";
import type { Manifest } from "../oci/manifest.ts";
import { writeFileAtomic } from "../util/atomic-file.ts";
import { InvalidDocumentError, SystemCallError, VerificationError } from "../util/errors.ts";
import { Semaphore } from "../util/semaphore.ts";
import type { BlobSource } from "./blob-source.ts";
import { Content } from "./content.ts";
import { collectGarbage, sweepTemporary } from "./garbage.ts";
import type { Layer, StartUnpacker } from "./layer-intake.ts";
import { dropPartials, type InstallContext, installLayer } from "./layer-install.ts";
import { Lease } from "./lease.ts";
import type { ProgressListener } from "./progress.ts";
import { settle, unsettledNow } from "./settle.ts";
import type { ImageStore, NewEntry } from "./store.ts";
import type { StoredImage } from "./stored-image.ts";

/** An image whose documents are known and checked, and whose layers are to be brought into the store. */
export interface NewImage {
  /** Describes the manifest as the index shall list it. */
  readonly descriptor: Descriptor;
  readonly manifestBytes: Uint8Array;
  readonly manifest: Manifest;
  readonly configBytes: Uint8Array;
  readonly config: ImageConfig;
  readonly source: BlobSource;
  /** Canonical references that shall name it, and where it came from; none leaves it untagged. */
  readonly names: readonly Pick<NewEntry, "reference" | "source" | "substituteFor">[];
}

/** What all ways of bringing images into the store take. */
export interface InstallOptions {
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Takes the place of LayerUnpacker, which needs root. */
  readonly startUnpacker?: StartUnpacker | undefined;
}

/**
 * Brings images into the store, all or none: their layers at once, then the documents, then the index. What fails for good (wrong digests, bad layers) leaves nothing; what was interrupted leaves whole
 * layers and parts of blobs for the next attempt.
 */
export async function installImages(
  store: ImageStore,
  images: readonly NewImage[],
  options: InstallOptions = {},
): Promise<StoredImage[]> {
  store.paths.create();
  await sweepTemporary(store.paths);
  await settle(store);
  const layers = images.map((image) => layersOf(image));
  const added: InstallContext["added"] = { blobs: new Set(), layers: new Set() };
  try {
    using lease = await Lease.take(store, contentOf(images), options.signal);
    const content = new Content(store.paths, lease.recorded);
    await installLayers(store, content, images, layers, added, options);
    await writeDocuments(store, images, added.blobs);
    options.onProgress?.({ kind: "recording" });
    const unsettled = unsettledNow();
    const entries = images.flatMap(({ descriptor: manifest, names }) =>
      (names.length === 0 ? [{}] : names).map((name) => ({ ...name, manifest, unsettled })),
    );
    await store.record(entries, options.signal);
    return images.map(({ descriptor }) => store.image(descriptor.digest));
  } catch (error) {
    if (isFinal(error)) {
      await collectGarbage(store, { only: added });
      await dropPartials(
        store,
        layers.flat().map((layer) => layer.descriptor.digest),
      );
    }
    throw error;
  }
}

/** The layers of an image, each pair of blob and diff ID once. */
function layersOf({ manifest, config }: NewImage): Layer[] {
  checkLayerCount(manifest, config);
  const diffIds = config.rootfs.diff_ids;
  const layers = new Map<string, Layer>();
  for (const [position, descriptor] of manifest.layers.entries()) {
    const diffId = diffIds[position] as Digest;
    layers.set(`${descriptor.digest} ${diffId}`, { descriptor, diffId });
  }
  return [...layers.values()];
}

function contentOf(images: readonly NewImage[]): { blobs: Set<Digest>; layers: Set<Digest> } {
  const blobs = new Set<Digest>();
  const layers = new Set<Digest>();
  for (const { descriptor, manifest, config } of images) {
    for (const { digest } of [descriptor, manifest.config, ...manifest.layers]) blobs.add(digest);
    for (const diffId of config.rootfs.diff_ids) layers.add(diffId);
  }
  return { blobs, layers };
}

/** All layers of all images, several at once. The first that fails ends the others; it returns when all have ended. */
async function installLayers(
  store: ImageStore,
  content: Content,
  images: readonly NewImage[],
  layers: readonly Layer[][],
  added: InstallContext["added"],
  options: InstallOptions,
): Promise<void> {
  const { onProgress = () => {}, signal } = options;
  const failed = new AbortController();
  const context: InstallContext = {
    store,
    content,
    startUnpacker: options.startUnpacker ?? (await layerUnpacker()),
    places: new Semaphore(placesAtOnce()),
    signal: signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]),
    onProgress,
    added,
  };
  const begun = new Set<string>();
  const work = images.flatMap((image, position) => {
    const own = layers[position] ?? [];
    onProgress({
      kind: "manifest",
      digest: image.descriptor.digest,
      layers: own.map(({ descriptor: { digest, size } }) => ({ digest, size })),
    });
    return own.flatMap((layer) => {
      const key = `${layer.descriptor.digest} ${layer.diffId}`;
      if (begun.has(key)) return [];
      begun.add(key);
      return [
        installLayer(context, layer, image.source).catch((error: unknown) => {
          failed.abort(error);
          throw error;
        }),
      ];
    });
  });
  await Promise.allSettled(work);
  signal?.throwIfAborted();
  failed.signal.throwIfAborted();
}

/**
 * One more than cores, so that none waits for the network, and five at most: each takes about 11 MB, and a pull shall
 * stay under 150 MB.
 */
function placesAtOnce(): number {
  return Math.min(Math.max(navigator.hardwareConcurrency + 1, 3), 5);
}

async function layerUnpacker(): Promise<StartUnpacker> {
  const { LayerUnpacker } = await import("./layer/unpack.ts");
  return (options) => LayerUnpacker.start(options);
}

/** Writes manifests and configs, unless they are there and right: a damaged store is repaired by this. */
async function writeDocuments(store: ImageStore, images: readonly NewImage[], added: Set<Digest>): Promise<void> {
  using _lock = await store.lock();
  for (const { descriptor, manifestBytes, manifest, configBytes } of images) {
    for (const [digest, bytes] of [
      [descriptor.digest, manifestBytes],
      [manifest.config.digest, configBytes],
    ] as const) {
      if (isStored(store.paths.blob(digest), digest)) continue;
      writeFileAtomic(store.paths.blob(digest), bytes, { mode: 0o644 });
      added.add(digest);
    }
  }
}

function isStored(path: string, digest: Digest): boolean {
  try {
    return digestOf(readFileSync(path)) === digest;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/**
 * Whether what was begun is of no use for another attempt: its bytes are wrong, or the disk has no room for it. After
 * anything else (the network, the registry, ctrl-C) the next attempt goes on from there.
 */
function isFinal(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return (
    error instanceof VerificationError ||
    error instanceof InvalidDocumentError ||
    error instanceof SystemCallError ||
    code === "ENOSPC" ||
    code === "EDQUOT"
  );
}

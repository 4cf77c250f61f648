import { readFileSync } from "node:fs";
import type { Descriptor } from "../oci/descriptor.ts";
import { type Digest, digestOf } from "../oci/digest.ts";
import { type ImageConfig, parseImageConfig } from "../oci/image-config.ts";
import { type Manifest, parseManifest } from "../oci/manifest.ts";
import { StoreDamagedError } from "./errors.ts";
import { annotation } from "./index-file.ts";
import type { StorePaths } from "./paths.ts";
import { isCertain } from "./settle.ts";

/** An image that is whole in the store: every layer is unpacked. */
export interface StoredImage {
  /** The digest of the config: the image's ID. */
  readonly id: Digest;
  /** Canonical references by which the image can be named; none for an untagged image. */
  readonly references: readonly string[];
  /** `repository@digest`, as the registries name it from which it came. */
  readonly repositoryDigests: readonly string[];
  readonly manifestDigest: Digest;
  readonly manifest: Manifest;
  /** Length of the manifest, in bytes. */
  readonly manifestSize: number;
  readonly config: ImageConfig;
  /** The unpacked layers, lowest first, each once: see {@link distinctLayers}. */
  readonly layerDirectories: readonly string[];
  /** False when the power may have failed before its files were on the disk: `repairImage` puts that right. */
  readonly certain: boolean;
  /** Length of the layers' tar archives, uncompressed, in bytes. Read from the disk when asked for. */
  readonly size: number;
}

/**
 * The layers that an overlay needs, lowest first. The same layer may stand twice in an image, but overlayfs refuses a
 * directory twice (ELOOP), and only the upper one shows: whatever the lower one contributes or hides, the upper one
 * contributes or hides again.
 */
export function distinctLayers(diffIds: readonly Digest[]): Digest[] {
  return diffIds.filter((diffId, position) => diffIds.lastIndexOf(diffId) === position);
}

/**
 * The image of a manifest in the store.
 * @param entries the index's entries for this manifest
 * @throws StoreDamagedError when the manifest or the config is missing or was changed
 */
export function readImage(paths: StorePaths, manifestDigest: Digest, entries: readonly Descriptor[]): StoredImage {
  const mediaType = entries[0]?.mediaType;
  const manifest = readDocument(paths, manifestDigest, (bytes) => parseManifest(bytes, mediaType));
  const config = readDocument(paths, manifest.config.digest, parseImageConfig);
  const layers = distinctLayers(config.rootfs.diff_ids);
  return {
    id: manifest.config.digest,
    references: distinct(entries.map((entry) => annotation(entry, "reference"))),
    repositoryDigests: distinct(entries.map((entry) => annotation(entry, "source"))),
    manifestDigest,
    manifest,
    manifestSize: entries[0]?.size ?? 0,
    config,
    layerDirectories: layers.map((diffId) => paths.layer(diffId)),
    get certain() {
      return entries.every((entry) => isCertain(entry));
    },
    get size() {
      return layers.reduce((sum, diffId) => sum + (readLayerRecord(paths, diffId)?.size ?? 0), 0);
    },
  };
}

/** What is known of an unpacked layer. */
export interface LayerRecord {
  /** Length of the layer's uncompressed tar archive, in bytes. */
  readonly size: number;
  /** Number of its entries. */
  readonly entries: number;
  /** The boot of the kernel during which it was unpacked: see `Content.hasLayer`. */
  readonly boot: string;
}

/** The record beside a layer's directory; undefined when there is none that can be read. */
export function readLayerRecord(paths: StorePaths, diffId: Digest): LayerRecord | undefined {
  try {
    const record: unknown = JSON.parse(readFileSync(paths.layerRecord(diffId), "utf8"));
    return isLayerRecord(record) ? record : undefined;
  } catch (error) {
    // No file, or one that a loss of power left empty: both mean that nothing is known of the layer.
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function isLayerRecord(value: unknown): value is LayerRecord {
  if (typeof value !== "object" || value === null) return false;
  const record = value as Partial<Record<keyof LayerRecord, unknown>>;
  return typeof record.size === "number" && typeof record.entries === "number" && typeof record.boot === "string";
}

function readDocument<T>(paths: StorePaths, digest: Digest, parse: (bytes: Uint8Array) => T): T {
  try {
    const bytes = readFileSync(paths.blob(digest));
    if (digestOf(bytes) === digest) return parse(bytes);
  } catch (error) {
    throw new StoreDamagedError(`${digest} cannot be read from the image store`, { cause: error, hint: repairHint });
  }
  throw new StoreDamagedError(`${digest} was changed in the image store`, { hint: repairHint });
}

const repairHint = "pull the image again: that repairs it";

function distinct(values: readonly (string | undefined)[]): string[] {
  return [...new Set(values)].filter((value) => value !== undefined);
}

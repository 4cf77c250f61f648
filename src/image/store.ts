import { FileLock } from "../linux/lock.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { formatReference, parseReference, type Reference } from "../oci/reference.ts";
import { ConflictError } from "../util/errors.ts";
import { StoreDamagedError } from "./errors.ts";
import { annotation, annotations, readEntries, writeEntries } from "./index-file.ts";
import { StorePaths } from "./paths.ts";
import { readImage, type StoredImage } from "./stored-image.ts";

/** One manifest that becomes part of the index: see {@link ImageStore.record}. */
export interface NewEntry {
  readonly manifest: Descriptor;
  /** The canonical reference that shall name it from now on. */
  readonly reference?: string | undefined;
  /** `repository@digest` in the registry from which it came. */
  readonly source?: string | undefined;
  /** The canonical reference for which this one stands: see `annotations.substituteFor`. */
  readonly substituteFor?: string | undefined;
  /** See `annotations.unsettled`. */
  readonly unsettled?: string | undefined;
}

/** What {@link ImageStore.untag} and {@link ImageStore.remove} took from the index. */
export interface Removed {
  /** Canonical references that no longer exist. */
  readonly untagged: readonly string[];
  /** Manifests that the index no longer names. */
  readonly manifests: readonly Digest[];
}

/**
 * The images on this machine: an OCI image layout with the blobs, beside it each layer unpacked once. Every image that
 * the index names is whole; when it is on the disk for certain, the index says so (settle.ts). Reading takes no lock, because the index
 * changes by rename; use {@link pin} when what was found must still be there a moment later.
 */
export class ImageStore {
  readonly paths: StorePaths;

  private constructor(paths: StorePaths) {
    this.paths = paths;
  }

  /** The store under this (absolute) directory. Nothing is read or made yet. */
  static open(root: string): ImageStore {
    return new ImageStore(new StorePaths(root));
  }

  /** Where a layer is unpacked, in the form that overlayfs takes as a lower directory. */
  layerDirectory(diffId: Digest): string {
    return this.paths.layer(diffId);
  }

  /**
   * Keeps everything that the index names from being removed until the pin is disposed of. Hold it from resolving an
   * image until a container's record says which image it uses, and no longer: changes of the index wait for it.
   */
  pin(signal?: AbortSignal): Promise<FileLock> {
    this.paths.create();
    return FileLock.acquire(this.paths.lock, "shared", { signal });
  }

  /**
   * The image of that name, or undefined when there is none here.
   * @param nameOrId a reference (`alpine`, `alpine:3.19`, `alpine@sha256:…`), an image ID with or without `sha256:`,
   *   or the beginning of an ID that only one image has
   * @throws ConflictError when several images' IDs begin so, StoreDamagedError, and the errors of parseReference
   */
  resolve(nameOrId: string): StoredImage | undefined {
    const entries = readEntries(this.paths);
    const manifest = this.#find(entries, nameOrId);
    return manifest === undefined ? undefined : this.#image(entries, manifest);
  }

  /** All images, in the index's order. Those that are damaged are told to `onDamage` and left out. */
  list(onDamage: (error: StoreDamagedError) => void = () => {}): StoredImage[] {
    const entries = readEntries(this.paths);
    const images: StoredImage[] = [];
    for (const digest of new Set(entries.map((entry) => entry.digest))) {
      try {
        images.push(this.#image(entries, digest));
      } catch (error) {
        if (!(error instanceof StoreDamagedError)) throw error;
        onDamage(error);
      }
    }
    return images;
  }

  /** The image of a manifest that the index names. Throws StoreDamagedError when it does not, or the image is damaged. */
  image(manifest: Digest): StoredImage {
    return this.#image(readEntries(this.paths), manifest);
  }

  /** The digest of the manifest that a name or an ID leads to: as {@link resolve}, but for damaged images too. */
  findManifest(nameOrId: string): Digest | undefined {
    return this.#find(readEntries(this.paths), nameOrId);
  }

  /**
   * Adds manifests whose content is whole to the index, all at once. A reference that named another manifest names the
   * new one from now on; the other one stays, untagged if it had no other name.
   */
  async record(added: readonly NewEntry[], signal?: AbortSignal): Promise<void> {
    using _lock = await this.lock(signal);
    let entries = readEntries(this.paths);
    for (const entry of added) entries = withEntry(entries, entry);
    writeEntries(this.paths, entries);
  }

  /** Gives an image (of this store) one more reference. */
  async tag(image: Pick<StoredImage, "manifestDigest">, reference: Reference): Promise<void> {
    using _lock = await this.lock();
    const entries = readEntries(this.paths);
    const known = entries.find((entry) => entry.digest === image.manifestDigest);
    if (known === undefined) throw new StoreDamagedError(`${image.manifestDigest} is no longer in the image store`);
    const added = {
      manifest: known,
      reference: formatReference(reference),
      source: annotation(known, "source"),
      unsettled: annotation(known, "unsettled"),
    };
    writeEntries(this.paths, withEntry(entries, added));
  }

  /** Takes one reference away. Its image stays, untagged if it had no other. */
  async untag(reference: string): Promise<Removed> {
    using _lock = await this.lock();
    writeEntries(this.paths, withoutReference(readEntries(this.paths), reference));
    return { untagged: [reference], manifests: [] };
  }

  /** Takes images out of the index with all their references. Their content goes with the next collectGarbage. */
  async remove(manifests: readonly Digest[]): Promise<Removed> {
    using _lock = await this.lock();
    const entries = readEntries(this.paths);
    const gone = entries.filter((entry) => manifests.includes(entry.digest));
    writeEntries(
      this.paths,
      entries.filter((entry) => !manifests.includes(entry.digest)),
    );
    return {
      untagged: gone.map((entry) => annotation(entry, "reference")).filter((reference) => reference !== undefined),
      manifests: [...new Set(gone.map((entry) => entry.digest))],
    };
  }

  /** The store's exclusive lock. Hold it briefly: everything that changes the index waits for it. */
  lock(signal?: AbortSignal): Promise<FileLock> {
    this.paths.create();
    return FileLock.acquire(this.paths.lock, "exclusive", { signal });
  }

  #image(entries: readonly Descriptor[], manifest: Digest): StoredImage {
    const own = entries.filter((entry) => entry.digest === manifest);
    if (own.length === 0) throw new StoreDamagedError(`${manifest} is no longer in the image store`);
    return readImage(this.paths, manifest, own);
  }

  #find(entries: readonly Descriptor[], nameOrId: string): Digest | undefined {
    const fullId = /^(?:sha256:)?([0-9a-f]{64})$/.exec(nameOrId)?.[1];
    if (fullId !== undefined) return this.#findById(entries, nameOrId, fullId);
    const prefix = /^(?:sha256:)?([0-9a-f]{1,63})$/.exec(nameOrId)?.[1];
    if (prefix !== undefined && nameOrId.startsWith("sha256:")) return this.#findById(entries, nameOrId, prefix);
    const named = findByReference(entries, parseReference(nameOrId));
    return named === undefined && prefix !== undefined ? this.#findById(entries, nameOrId, prefix) : named;
  }

  #findById(entries: readonly Descriptor[], text: string, prefix: string): Digest | undefined {
    const found = new Map<Digest, Digest>();
    for (const manifest of new Set(entries.map((entry) => entry.digest))) {
      const id = this.#idOf(entries, manifest);
      if (id?.startsWith(`sha256:${prefix}`) === true || manifest === `sha256:${prefix}`) {
        found.set(id ?? manifest, manifest);
      }
    }
    if (found.size > 1) {
      throw new ConflictError(`the image ID ${text} is ambiguous: ${found.size} images begin so`, {
        hint: `use more of the ID: ${[...found.keys()].map((id) => id.slice(7, 23)).join(", ")}`,
      });
    }
    return found.values().next().value;
  }

  #idOf(entries: readonly Descriptor[], manifest: Digest): Digest | undefined {
    try {
      return this.#image(entries, manifest).id;
    } catch (error) {
      if (error instanceof StoreDamagedError) return undefined;
      throw error;
    }
  }
}

/** The manifest that a reference names: by its digest if it has one, else by its tag (`latest` when it has none). */
function findByReference(entries: readonly Descriptor[], reference: Reference): Digest | undefined {
  if (reference.digest !== undefined) {
    const repository = `${reference.domain}/${reference.repository}`;
    const source = `${repository}@${reference.digest}`;
    const isOfRepository = (entry: Descriptor) =>
      annotation(entry, "source")?.startsWith(`${repository}@`) === true ||
      annotation(entry, "reference")?.startsWith(`${repository}:`) === true;
    return entries.find(
      (entry) => annotation(entry, "source") === source || (entry.digest === reference.digest && isOfRepository(entry)),
    )?.digest;
  }
  const name = formatReference({ ...reference, tag: reference.tag ?? "latest" });
  const exact = entries.find((entry) => annotation(entry, "reference") === name);
  if (exact !== undefined || reference.tag !== undefined) return exact?.digest;
  return entries.find((entry) => annotation(entry, "substituteFor") === name)?.digest;
}

/** `repository@digest` in canonical form: how {@link StoredImage.repositoryDigests} names an image. */
export function sourceName(reference: Reference, digest: Digest): string {
  return `${reference.domain}/${reference.repository}@${digest}`;
}

/** The entries with one more; the reference is taken from whichever manifest had it. */
function withEntry(entries: readonly Descriptor[], added: NewEntry): Descriptor[] {
  const { mediaType, digest, size, platform } = added.manifest;
  const others = added.reference === undefined ? [...entries] : withoutReference(entries, added.reference);
  const isNamed = others.some((entry) => entry.digest === digest && annotation(entry, "reference") !== undefined);
  if (added.reference === undefined && isNamed) return others;
  // An entry without a reference is only there to keep an image that has none.
  const rest = others.filter((entry) => entry.digest !== digest || annotation(entry, "reference") !== undefined);
  const entry: Descriptor = {
    mediaType,
    digest,
    size,
    ...(platform === undefined ? {} : { platform }),
    annotations: {
      ...(added.reference === undefined ? {} : { [annotations.reference]: added.reference }),
      ...(added.source === undefined ? {} : { [annotations.source]: added.source }),
      ...(added.substituteFor === undefined ? {} : { [annotations.substituteFor]: added.substituteFor }),
      ...(added.unsettled === undefined ? {} : { [annotations.unsettled]: added.unsettled }),
    },
  };
  return [...rest, entry];
}

/** The entries without this reference; a manifest that had no other keeps an entry that has none. */
function withoutReference(entries: readonly Descriptor[], reference: string): Descriptor[] {
  return entries.flatMap((entry) => {
    if (annotation(entry, "reference") !== reference) return [entry];
    if (entries.some((other) => other !== entry && other.digest === entry.digest)) return [];
    const { [annotations.reference]: _, [annotations.substituteFor]: __, ...rest } = entry.annotations ?? {};
    return [{ ...entry, annotations: rest }];
  });
}

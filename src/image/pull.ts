import type { Descriptor } from "../oci/descriptor.ts";
import { type Digest, digestOf } from "../oci/digest.ts";
import { parseImageConfig } from "../oci/image-config.ts";
import { parseIndex } from "../oci/index.ts";
import { parseManifest } from "../oci/manifest.ts";
import { readManifestDocument } from "../oci/manifest-document.ts";
import { mediaTypeOf, mediaTypes, isManifestType } from "../oci/media-types.ts";
import { checkPlatform, choosePlatform, hostPlatform, type Platform } from "../oci/platform.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import { InvalidDocumentError, VerificationError } from "../util/errors.ts";
import type { BlobSource, OpenBlob } from "./blob-source.ts";
import { installImages, type InstallOptions } from "./install.ts";
import { longestDocument, readBlob } from "./read-blob.ts";
import { sourceName, type ImageStore } from "./store.ts";
import type { StoredImage } from "./stored-image.ts";

/** A manifest document as a registry gave it out. */
export interface FetchedManifest {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/** What pulling needs of a registry: see `RegistryClient`. */
export interface ImageRegistry {
  fetchManifest(reference: Reference, options: { signal: AbortSignal }): Promise<FetchedManifest>;
  openBlob(
    reference: Reference,
    descriptor: Descriptor,
    options: { offset: number; signal: AbortSignal },
  ): Promise<OpenBlob>;
}

/** What {@link pullImage} can be told. */
export interface PullOptions extends InstallOptions {
  /** Whose image to take of an index: the host's unless told. When told, an image of another one is refused. */
  readonly platform?: Platform | undefined;
  /** The reference that the user named, when the registry had no such tag and `reference` was taken instead. */
  readonly substituteFor?: Reference | undefined;
}

/** Indexes may list indexes; nobody nests them deeper than this. */
const deepestNesting = 4;

/**
 * Pulls an image into the store. Nothing of it can be seen before it is whole; see {@link installImages} for what
 * remains of a pull that fails.
 * @param reference with a tag or a digest
 * @throws the registry's errors, InvalidDocumentError, VerificationError, DownloadError, the unpacker's errors, and the
 *   signal's reason
 */
export async function pullImage(
  store: ImageStore,
  registry: ImageRegistry,
  reference: Reference,
  options: PullOptions = {},
): Promise<StoredImage> {
  const signal = options.signal ?? new AbortController().signal;
  const named = await fetchManifest(registry, reference, signal);
  const chosen = await chooseManifest(registry, reference, named, options.platform ?? hostPlatform(), signal);
  const manifest = parseManifest(chosen.bytes, chosen.mediaType);
  const source: BlobSource = {
    openBlob: (descriptor, place) => registry.openBlob(reference, descriptor, place),
  };
  const configBytes = await readBlob(source, manifest.config, `the config of ${formatReference(reference)}`, signal);
  const config = parseImageConfig(configBytes);
  if (options.platform !== undefined) checkPlatform(formatReference(reference), config, options.platform);
  const mediaType = manifestType(chosen);
  const [image] = await installImages(
    store,
    [
      {
        descriptor: { mediaType, digest: chosen.digest, size: chosen.bytes.length, platform: platformOf(config) },
        manifestBytes: chosen.bytes,
        manifest,
        configBytes,
        config,
        source,
        // With a digest, the tag says nothing: it may long have moved.
        names: [
          {
            reference: reference.digest === undefined ? formatReference(reference) : undefined,
            source: sourceName(reference, named.digest),
            substituteFor: options.substituteFor === undefined ? undefined : formatReference(options.substituteFor),
          },
        ],
      },
    ],
    options,
  );
  return image as StoredImage;
}

/** The manifest of the wanted platform: the document itself, or what its index leads to. */
async function chooseManifest(
  registry: ImageRegistry,
  reference: Reference,
  named: FetchedManifest,
  wanted: Platform,
  signal: AbortSignal,
): Promise<FetchedManifest> {
  let document = named;
  for (let depth = 0; readManifestDocument(document.bytes, document.mediaType).kind === "index"; depth++) {
    if (depth === deepestNesting) {
      throw new InvalidDocumentError(`the index of ${formatReference(reference)} is nested too deep`);
    }
    const descriptor = choosePlatform(parseIndex(document.bytes, document.mediaType), wanted);
    if (descriptor.size > longestDocument) {
      throw new InvalidDocumentError(
        `a manifest of ${descriptor.size} bytes is refused: ${longestDocument} are allowed`,
      );
    }
    const { domain, repository } = reference;
    document = await fetchManifest(registry, { domain, repository, digest: descriptor.digest }, signal);
    if (document.bytes.length !== descriptor.size) {
      const what = `the size of manifest ${descriptor.digest}`;
      throw new VerificationError(what, `${descriptor.size} bytes`, `${document.bytes.length}`);
    }
  }
  return document;
}

/** The registry's answer, checked once more against what it was asked for: everything else hangs on it. */
async function fetchManifest(
  registry: ImageRegistry,
  reference: Reference,
  signal: AbortSignal,
): Promise<FetchedManifest> {
  const answer = await registry.fetchManifest(reference, { signal });
  const actual = digestOf(answer.bytes);
  const expected = reference.digest ?? answer.digest;
  if (actual !== expected) {
    throw new VerificationError(`the digest of the manifest of ${formatReference(reference)}`, expected, actual);
  }
  return answer;
}

/** The manifest's own type: documents without one, and servers that name none, leave OCI's. */
function manifestType({ bytes, mediaType }: FetchedManifest): string {
  const own = readManifestDocument(bytes, mediaType).mediaType ?? mediaTypeOf(mediaType);
  return isManifestType(own) ? own : mediaTypes.ociManifest;
}

/** The platform that a config names, as a descriptor lists it. */
export function platformOf(config: Platform): Platform {
  return {
    os: config.os,
    architecture: config.architecture,
    ...(config.variant === undefined ? {} : { variant: config.variant }),
  };
}

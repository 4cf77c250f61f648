import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { Descriptor } from "../../oci/descriptor.ts";
import { type Digest, digestHex } from "../../oci/digest.ts";
import { mediaTypes } from "../../oci/media-types.ts";
import { familiarReference, parseReference } from "../../oci/reference.ts";
import { VerificationError } from "../../util/errors.ts";
import { StoreDamagedError } from "../errors.ts";
import { annotations } from "../index-file.ts";
import { TarWriter } from "../layer/tar/writer.ts";
import type { StorePaths } from "../paths.ts";
import type { StoredImage } from "../stored-image.ts";
import { containerdName } from "./oci-archive.ts";

/** An image to be saved. */
export interface ImageToSave {
  readonly image: StoredImage;
  /** The canonical references that the archive shall give it. */
  readonly references: readonly string[];
}

const pieceSize = 256 * 1024;
const plainEntry = {
  linkPath: "",
  uid: 0,
  gid: 0,
  // The same images make the same archive.
  modified: { seconds: 0, nanoseconds: 0 },
  accessed: undefined,
  xattrs: [],
  deviceMajor: 0,
  deviceMinor: 0,
};

/**
 * Writes images into an archive that is an OCI image layout and what `docker save` writes at once, as Docker's own since
 * version 25. Manifests and layers are those of the registry, byte by byte; layers stay compressed.
 * @param write takes the archive's bytes, which are only valid during the call
 * @throws StoreDamagedError, VerificationError a file of the store is missing or not what it was
 */
export async function saveArchive(
  paths: StorePaths,
  images: readonly ImageToSave[],
  write: (bytes: Uint8Array) => void,
): Promise<void> {
  const tar = new TarWriter(write);
  const file = (path: string, content: string) => {
    const bytes = Buffer.from(content);
    tar.entry({ ...plainEntry, type: "file", path, mode: 0o644, size: bytes.length });
    tar.content(bytes);
  };
  for (const path of ["blobs/", "blobs/sha256/"]) {
    tar.entry({ ...plainEntry, type: "directory", path, mode: 0o755, size: 0 });
  }
  const blobs = images.flatMap(({ image: { manifestDigest, manifest } }) => [
    manifestDigest,
    manifest.config.digest,
    ...manifest.layers.map(({ digest }) => digest),
  ]);
  for (const digest of new Set(blobs)) await writeBlob(tar, paths, digest);
  file(
    "index.json",
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: images.flatMap(entriesOf) }),
  );
  file("manifest.json", JSON.stringify(images.map(dockerItem)));
  file("oci-layout", '{"imageLayoutVersion":"1.0.0"}');
  tar.finish();
}

function pathOf(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`;
}

async function writeBlob(tar: TarWriter, paths: StorePaths, digest: Digest): Promise<void> {
  const descriptor = openBlob(paths, digest);
  try {
    const { size } = fstatSync(descriptor);
    const hash = new Bun.CryptoHasher("sha256");
    const piece = new Uint8Array(pieceSize);
    tar.entry({ ...plainEntry, type: "file", path: pathOf(digest), mode: 0o644, size });
    for (let count = readSync(descriptor, piece); count > 0; count = readSync(descriptor, piece)) {
      hash.update(piece.subarray(0, count));
      tar.content(piece.subarray(0, count));
      // Large layers take seconds: let signals through.
      await new Promise(setImmediate);
    }
    const actual = `sha256:${hash.digest("hex")}`;
    if (actual !== digest) throw new VerificationError(`the digest of a file in the image store`, digest, actual);
  } finally {
    closeSync(descriptor);
  }
}

function openBlob(paths: StorePaths, digest: Digest): number {
  try {
    return openSync(paths.blob(digest), "r");
  } catch (cause) {
    throw new StoreDamagedError(`${digest} cannot be read from the image store`, {
      cause,
      hint: "pull the image again",
    });
  }
}

/** In `index.json`: one entry for each name, or one without. */
function entriesOf({ image: { manifestDigest, manifest, manifestSize }, references }: ImageToSave): Descriptor[] {
  const entry = { mediaType: manifest.mediaType ?? mediaTypes.ociManifest, digest: manifestDigest, size: manifestSize };
  if (references.length === 0) return [entry];
  return references.map((reference) => {
    const { tag = "latest" } = parseReference(reference);
    return { ...entry, annotations: { [containerdName]: reference, [annotations.reference]: tag } };
  });
}

/** In `manifest.json`. */
function dockerItem({ image: { manifest }, references }: ImageToSave): object {
  return {
    Config: pathOf(manifest.config.digest),
    RepoTags: references.length === 0 ? null : references.map((text) => familiarReference(parseReference(text))),
    Layers: manifest.layers.map(({ digest }) => pathOf(digest)),
  };
}

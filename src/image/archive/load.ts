import { checkPlatform, type Platform } from "../../oci/platform.ts";
import { GockerError, InvalidDocumentError } from "../../util/errors.ts";
import { installImages, type InstallOptions } from "../install.ts";
import type { ImageStore } from "../store.ts";
import type { StoredImage } from "../stored-image.ts";
import { type ArchiveInput, openArchive } from "./bytes.ts";
import { readDockerArchive } from "./docker-archive.ts";
import { ArchiveMembers } from "./members.ts";
import { readOciArchive } from "./oci-archive.ts";

/** What {@link loadArchive} can be told. */
export interface LoadOptions extends InstallOptions {
  /** Which image of several to take: the host's unless told. */
  readonly platform?: Platform | undefined;
}

/** One image that an archive brought. */
export interface LoadedImage {
  readonly image: StoredImage;
  /** The canonical references that the archive gave it; none for an untagged image. */
  readonly references: readonly string[];
}

/**
 * Loads all images of an archive, or none: what `docker save` writes, in both of its forms, and OCI image layouts, each
 * plain or compressed with gzip or zstd. Every digest is checked, names in the archive are trusted for nothing.
 * @throws NotFoundError, InvalidDocumentError, VerificationError, PlatformError, the unpacker's errors
 */
export async function loadArchive(
  store: ImageStore,
  input: ArchiveInput,
  options: LoadOptions = {},
): Promise<LoadedImage[]> {
  const signal = options.signal ?? new AbortController().signal;
  using bytes = await openArchive(input, store.paths, signal);
  if (bytes.size === 0) throw new InvalidDocumentError("the archive is empty");
  const members = readMembers(bytes);
  // An archive of both kinds is read as OCI's: its manifests are the ones that registries know.
  const images =
    members.find("index.json") === undefined
      ? await readDockerArchive(checkDocker(members), signal)
      : readOciArchive(members, options.platform);
  if (options.platform !== undefined) {
    for (const { config, names, descriptor } of images) {
      checkPlatform(names[0]?.reference ?? descriptor.digest, config, options.platform);
    }
  }
  const stored = await installImages(store, images, options);
  return stored.map((image, position) => {
    const names = images[position]?.names ?? [];
    return { image, references: names.flatMap(({ reference }) => reference ?? []) };
  });
}

function readMembers(bytes: ConstructorParameters<typeof ArchiveMembers>[0]): ArchiveMembers {
  try {
    return new ArchiveMembers(bytes);
  } catch (error) {
    if (!(error instanceof GockerError)) throw error;
    throw new InvalidDocumentError(`the file is no image archive: ${error.message}`, { cause: error });
  }
}

function checkDocker(members: ArchiveMembers): ArchiveMembers {
  if (members.find("manifest.json") !== undefined) return members;
  if (members.find("repositories") !== undefined) {
    throw new InvalidDocumentError("the archive has the form of Docker before 1.10, without manifest.json", {
      hint: "load it with an old Docker and save it with a newer one",
    });
  }
  throw new InvalidDocumentError("the archive has neither manifest.json nor index.json: it holds no images", {
    hint: "docker save and skopeo copy … oci-archive: write such archives",
  });
}

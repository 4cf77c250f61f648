import type { Descriptor } from "../../oci/descriptor.ts";
import { digestHex } from "../../oci/digest.ts";
import { parseImageConfig } from "../../oci/image-config.ts";
import { type Index, parseIndex } from "../../oci/index.ts";
import { parseManifest } from "../../oci/manifest.ts";
import { readManifestDocument } from "../../oci/manifest-document.ts";
import { isImageConfigType, isIndexType, isManifestType } from "../../oci/media-types.ts";
import { choosePlatform, hostPlatform, type Platform, PlatformError } from "../../oci/platform.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { BlobSource } from "../blob-source.ts";
import { annotations } from "../index-file.ts";
import type { NewImage } from "../install.ts";
import { platformOf } from "../pull.ts";
import { checkBlob } from "../read-blob.ts";
import { canonicalName } from "./docker-archive.ts";
import type { ArchiveMembers, Member } from "./members.ts";

/** containerd's and Docker's annotation for the whole name; `ref.name` is often the tag alone. */
export const containerdName = "io.containerd.image.name";

const deepestNesting = 4;

/**
 * The images of an OCI image layout in a tar archive. Of an image for several platforms one is taken: the wanted one,
 * or the host's, or the only one whose manifest the archive has.
 * @throws InvalidDocumentError, VerificationError, PlatformError
 */
export function readOciArchive(members: ArchiveMembers, wanted: Platform | undefined): NewImage[] {
  checkLayout(members);
  return new OciArchive(members, wanted).read();
}

function checkLayout(members: ArchiveMembers): void {
  // The file is mandatory, but there are archives without it, and every other tool takes them.
  const member = members.find("oci-layout");
  if (member === undefined) return;
  let version: unknown;
  try {
    const text = Buffer.from(members.read(member, "oci-layout")).toString("utf8");
    version = (JSON.parse(text) as { imageLayoutVersion?: unknown }).imageLayoutVersion;
  } catch (error) {
    throw new InvalidDocumentError("oci-layout of the archive is not JSON", { cause: error });
  }
  if (typeof version !== "string" || !version.startsWith("1.")) {
    throw new InvalidDocumentError(
      `the archive is an OCI layout of version ${JSON.stringify(version)}; 1.0.0 is known`,
    );
  }
}

class OciArchive {
  readonly #members: ArchiveMembers;
  readonly #wanted: Platform | undefined;
  readonly #source: BlobSource;
  /** Why the first thing that looked like an image is none. */
  #unusable: InvalidDocumentError | undefined;

  constructor(members: ArchiveMembers, wanted: Platform | undefined) {
    this.#members = members;
    this.#wanted = wanted;
    this.#source = {
      openBlob: async (descriptor, { offset }) => ({
        offset,
        stream: members.stream(this.#member(descriptor), offset),
      }),
    };
  }

  read(): NewImage[] {
    const index = parseIndex(this.#members.read(this.#members.get("index.json"), "index.json"));
    const images = new Map<string, NewImage>();
    for (const [name, entries] of this.#byName(index)) {
      const found = this.#readImage(entries, name);
      if (found === undefined) continue;
      const known = images.get(found.descriptor.digest);
      images.set(found.descriptor.digest, { ...found, names: [...(known?.names ?? []), ...found.names] });
    }
    if (images.size > 0) return [...images.values()];
    if (this.#unusable !== undefined) throw this.#unusable;
    throw new InvalidDocumentError("the archive holds no image that can be run", {
      hint: index.manifests.length === 0 ? "its index is empty" : "what its index lists are other artifacts",
    });
  }

  /** Entries of one name are one image, each for another platform; entries without a name are one image each. */
  #byName(index: Index): [string | undefined, Descriptor[]][] {
    const named = new Map<string, Descriptor[]>();
    const groups: [string | undefined, Descriptor[]][] = [];
    for (const entry of index.manifests) {
      const name = nameOf(entry);
      if (name === undefined) {
        groups.push([undefined, [entry]]);
        continue;
      }
      const group = named.get(name) ?? [];
      if (group.length === 0) groups.push([name, group]);
      group.push(entry);
      named.set(name, group);
    }
    return groups;
  }

  /** The image that a group of entries leads to; undefined for what is no image. */
  #readImage(entries: readonly Descriptor[], name: string | undefined): NewImage | undefined {
    const [first] = entries;
    let descriptor = entries.length === 1 ? first : this.#choose(entries);
    for (let depth = 0; descriptor !== undefined && isIndexType(descriptor.mediaType); depth++) {
      if (depth === deepestNesting) throw new InvalidDocumentError("an index of the archive is nested too deep");
      const index = parseIndex(this.#document(descriptor), descriptor.mediaType);
      descriptor = this.#choose(index.manifests);
    }
    if (descriptor === undefined || !isManifestType(descriptor.mediaType)) return undefined;
    const manifestBytes = this.#document(descriptor);
    if (!isImage(manifestBytes, descriptor.mediaType)) return undefined;
    const documents = this.#parse(manifestBytes, descriptor);
    if (documents === undefined) return undefined;
    const { manifest, configBytes, config } = documents;
    for (const layer of manifest.layers) this.#member(layer);
    const { mediaType, digest, size } = descriptor;
    return {
      descriptor: { mediaType, digest, size, platform: platformOf(config) },
      manifestBytes,
      manifest,
      configBytes,
      config,
      source: this.#source,
      names: name === undefined ? [] : [{ reference: name }],
    };
  }

  /**
   * The manifest and its config. Undefined when they are those of no image, although they look like it: archives list
   * all kinds of things beside images, and these only count when there is nothing else.
   */
  #parse(manifestBytes: Uint8Array, { mediaType }: Descriptor) {
    try {
      const manifest = parseManifest(manifestBytes, mediaType);
      const configBytes = this.#document(manifest.config);
      return { manifest, configBytes, config: parseImageConfig(configBytes) };
    } catch (error) {
      if (!(error instanceof InvalidDocumentError)) throw error;
      this.#unusable ??= error;
      return undefined;
    }
  }

  /** Which of an index's entries to take; undefined when none of them is an image. */
  #choose(entries: readonly Descriptor[]): Descriptor | undefined {
    const images = entries.filter(
      (entry) => !isAttestation(entry) && (isIndexType(entry.mediaType) || this.#isImage(entry)),
    );
    const present = images.filter((entry) => this.#find(entry) !== undefined);
    if (images.length > 0 && present.length === 0) {
      throw new InvalidDocumentError("the archive has the index of an image, but none of its manifests");
    }
    if (present.length === 0) return undefined;
    try {
      return choosePlatform({ schemaVersion: 2, manifests: present }, this.#wanted ?? hostPlatform());
    } catch (error) {
      // An archive with a single image leaves no choice; who loads it wants that one.
      if (error instanceof PlatformError && this.#wanted === undefined && present.length === 1) return present[0];
      throw error;
    }
  }

  #isImage(entry: Descriptor): boolean {
    if (!isManifestType(entry.mediaType)) return false;
    return this.#find(entry) === undefined || isImage(this.#document(entry), entry.mediaType);
  }

  /** A document of the archive, checked against its descriptor. */
  #document(descriptor: Descriptor): Uint8Array {
    const what = `${descriptor.digest} in the archive`;
    const bytes = this.#members.read(this.#member(descriptor), what);
    checkBlob(bytes, descriptor, what);
    return bytes;
  }

  #find({ digest }: Descriptor): Member | undefined {
    return this.#members.find(`blobs/sha256/${digestHex(digest)}`);
  }

  #member({ digest }: Descriptor): Member {
    return this.#members.get(`blobs/sha256/${digestHex(digest)}`);
  }
}

/** The canonical name of an entry; a `ref.name` that is only a tag names nothing. */
function nameOf(entry: Descriptor): string | undefined {
  const whole = entry.annotations?.[containerdName];
  if (whole !== undefined) return canonicalName(whole);
  const name = entry.annotations?.[annotations.reference];
  return name === undefined || !/[:/]/.test(name) ? undefined : canonicalName(name);
}

/** Docker's BuildKit lists provenance and other statements about images beside them. */
function isAttestation({ platform }: Descriptor): boolean {
  return platform?.os === "unknown" && platform.architecture === "unknown";
}

/** Whether a manifest is one of an image, and not of another artifact of the same shape. */
function isImage(bytes: Uint8Array, mediaType: string): boolean {
  const { kind, object } = readManifestDocument(bytes, mediaType);
  const config = object["config"] as { mediaType?: unknown } | null | undefined;
  return kind === "manifest" && typeof config?.mediaType === "string" && isImageConfigType(config.mediaType);
}

import type { Descriptor } from "../../oci/descriptor.ts";
import { type Digest, digestOf } from "../../oci/digest.ts";
import { type ImageConfig, parseImageConfig } from "../../oci/image-config.ts";
import type { Manifest } from "../../oci/manifest.ts";
import { mediaTypes } from "../../oci/media-types.ts";
import { formatReference, parseReference } from "../../oci/reference.ts";
import { InvalidDocumentError, VerificationError } from "../../util/errors.ts";
import type { BlobSource } from "../blob-source.ts";
import type { NewImage } from "../install.ts";
import { platformOf } from "../pull.ts";
import { packingOf } from "./bytes.ts";
import type { ArchiveMembers, Member } from "./members.ts";

/** One image of `manifest.json`. */
interface ManifestItem {
  readonly config: string;
  readonly repoTags: readonly string[];
  readonly layers: readonly string[];
}

const layerTypes = {
  none: mediaTypes.ociLayer,
  gzip: mediaTypes.ociLayerGzip,
  zstd: mediaTypes.ociLayerZstd,
} as const;

/**
 * The images of what `docker save`, kaniko, jib, bazel or skopeo wrote: `manifest.json` names a config, layers and tags.
 * The format has no manifest of the OCI's kind, so one is made: the layers stay as they are, compressed or not.
 * @throws InvalidDocumentError, VerificationError when a file's name is a digest that its content does not have
 */
export async function readDockerArchive(members: ArchiveMembers, signal: AbortSignal): Promise<NewImage[]> {
  const document = members.read(members.get("manifest.json"), "manifest.json");
  const images: NewImage[] = [];
  for (const item of parseItems(document)) images.push(await readItem(members, item, signal));
  return images;
}

async function readItem(members: ArchiveMembers, item: ManifestItem, signal: AbortSignal): Promise<NewImage> {
  const configBytes = members.read(members.get(item.config), item.config);
  const config = parseImageConfig(configBytes);
  const configDigest = digestOf(configBytes);
  checkName(item.config, configDigest);
  const located = new Map<Digest, Member>();
  const layers: Descriptor[] = [];
  for (const [position, name] of item.layers.entries()) {
    const member = members.get(name);
    const descriptor = await describeLayer(members, member, name, config, position, signal);
    located.set(descriptor.digest, member);
    layers.push(descriptor);
  }
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: configDigest, size: configBytes.length },
    layers,
  };
  const manifestBytes = Buffer.from(JSON.stringify(manifest));
  const source: BlobSource = {
    openBlob: ({ digest }, { offset }) => {
      const member = located.get(digest) as Member;
      return Promise.resolve({ offset, stream: members.stream(member, offset) });
    },
  };
  return {
    descriptor: {
      mediaType: mediaTypes.ociManifest,
      digest: digestOf(manifestBytes),
      size: manifestBytes.length,
      platform: platformOf(config),
    },
    manifestBytes,
    manifest,
    configBytes,
    config,
    source,
    names: item.repoTags.map((tag) => ({ reference: canonicalName(tag) })),
  };
}

/** A tag of an archive as a canonical reference; old tools left out `latest`. */
export function canonicalName(text: string): string {
  const reference = parseReference(text);
  return formatReference(reference.digest === undefined ? { ...reference, tag: reference.tag ?? "latest" } : reference);
}

async function describeLayer(
  members: ArchiveMembers,
  member: Member,
  name: string,
  config: ImageConfig,
  position: number,
  signal: AbortSignal,
): Promise<Descriptor> {
  const diffId = config.rootfs.diff_ids[position];
  if (diffId === undefined) throw new InvalidDocumentError("manifest.json lists more layers than the config diff IDs");
  const start = members.chunks(member).next().value;
  const packing = packingOf(start ?? new Uint8Array());
  const digest = packing === "none" ? diffId : await digestOfMember(members, member, signal);
  checkName(name, digest);
  return { mediaType: layerTypes[packing], digest, size: member.size };
}

async function digestOfMember(members: ArchiveMembers, member: Member, signal: AbortSignal): Promise<Digest> {
  const hash = new Bun.CryptoHasher("sha256");
  for (const chunk of members.chunks(member)) {
    signal.throwIfAborted();
    hash.update(chunk);
    // Large layers take seconds: let signals through.
    await new Promise(setImmediate);
  }
  return `sha256:${hash.digest("hex")}`;
}

/** Docker names configs by their digest, newer ones layers too (`blobs/sha256/…`): then they must have it. */
function checkName(name: string, actual: Digest): void {
  const hex = /^(?:sha256:|blobs\/sha256\/)([0-9a-f]{64})$|^([0-9a-f]{64})\.json$/.exec(name);
  const expected = hex?.[1] ?? hex?.[2];
  if (expected === undefined || actual === `sha256:${expected}`) return;
  throw new VerificationError(`the digest of ${name} in the archive`, `sha256:${expected}`, actual);
}

function parseItems(bytes: Uint8Array): ManifestItem[] {
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (error) {
    throw new InvalidDocumentError("manifest.json of the archive is not JSON", { cause: error });
  }
  if (!Array.isArray(document) || document.length === 0) {
    throw new InvalidDocumentError("manifest.json of the archive lists no image");
  }
  return document.map((value: unknown) => {
    const item = lowerCaseKeys(value);
    const config = item.get("config");
    if (typeof config !== "string") throw new InvalidDocumentError("manifest.json of the archive names no config");
    return { config, repoTags: strings(item, "repotags"), layers: strings(item, "layers") };
  });
}

/** jib writes `config` and `repoTags` where Docker writes `Config` and `RepoTags`; Docker's reader takes both. */
function lowerCaseKeys(value: unknown): Map<string, unknown> {
  if (typeof value !== "object" || value === null) {
    throw new InvalidDocumentError("manifest.json of the archive is not a list of objects");
  }
  return new Map(Object.entries(value).map(([key, entry]) => [key.toLowerCase(), entry as unknown]));
}

function strings(item: ReadonlyMap<string, unknown>, key: string): string[] {
  const value = item.get(key) ?? [];
  if (Array.isArray(value) && value.every((entry) => typeof entry === "string")) return value;
  throw new InvalidDocumentError(`${key} in manifest.json of the archive is not a list of texts`);
}

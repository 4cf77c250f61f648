import { type Digest, digestOf, isDigest } from "../oci/digest.ts";
import { isIndexType, isManifestType, manifestAccept, mediaTypeOf, mediaTypes } from "../oci/media-types.ts";
import { readManifestDocument } from "../oci/manifest-document.ts";
import { VerificationError } from "../util/errors.ts";
import type { EndpointClient } from "./endpoint-client.ts";
import { discard } from "./transport.ts";

/** A manifest or index as the registry sent it, byte for byte. */
export interface FetchedManifest {
  /** What it is, by its own word where it has one. */
  readonly mediaType: string;
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/** What a registry says of a manifest without sending it. */
export interface ManifestHead {
  readonly mediaType: string;
  readonly digest: Digest;
  /** In bytes. */
  readonly size: number;
}

/** The specification asks registries to take manifests of 4 MiB; nobody takes larger ones. */
const largestManifest = 4 * 1024 * 1024;

/**
 * Fetches a manifest and checks that it is what its name says: the digest of a reference by digest, else the digest
 * that the registry announces.
 *
 * @param version a tag or a digest.
 * @throws RegistryError, VerificationError, or InvalidDocumentError for what is no manifest.
 */
export async function fetchManifest(
  client: EndpointClient,
  repository: string,
  version: string,
  signal?: AbortSignal,
): Promise<FetchedManifest> {
  const what = describeImage(repository, version);
  const headers = { accept: manifestAccept };
  const request = { repository, path: `manifests/${version}`, headers, what, signal };
  const { response, bytes } = await client.read(request, largestManifest);
  const digest = digestOf(bytes);
  const announced = response.headers.get("docker-content-digest");
  const expected = isDigest(version) ? version : isDigest(announced) ? announced : digest;
  if (digest !== expected) {
    throw new VerificationError(`digest of the manifest of ${what} from ${client.endpoint.name}`, expected, digest, {
      hint: "the registry, or a proxy or mirror before it, changes what it sends",
    });
  }
  const contentType = response.headers.get("content-type") ?? "";
  const { kind, mediaType } = readManifestDocument(bytes, contentType);
  const declared = mediaTypeOf(contentType);
  const known = isIndexType(declared) || isManifestType(declared);
  const implied = kind === "index" ? mediaTypes.ociIndex : mediaTypes.ociManifest;
  return { mediaType: mediaType ?? (known ? declared : implied), digest, bytes };
}

/**
 * Asks for a manifest's digest alone: Docker Hub does not count that as a pull.
 *
 * @returns undefined when the registry does not say it without sending the manifest.
 */
export async function headManifest(
  client: EndpointClient,
  repository: string,
  version: string,
  signal?: AbortSignal,
): Promise<ManifestHead | undefined> {
  const what = describeImage(repository, version);
  const headers = { accept: manifestAccept };
  const path = `manifests/${version}`;
  const answer = await client.request({ method: "HEAD", repository, path, headers, what, signal });
  await discard(answer);
  const digest = answer.response.headers.get("docker-content-digest");
  const size = Number(answer.response.headers.get("content-length") ?? Number.NaN);
  if (!isDigest(digest) || !Number.isSafeInteger(size)) return undefined;
  return { mediaType: mediaTypeOf(answer.response.headers.get("content-type") ?? ""), digest, size };
}

/** `the image library/alpine:3.19`. */
function describeImage(repository: string, version: string): string {
  return `the image ${repository}${version.includes(":") ? "@" : ":"}${version}`;
}

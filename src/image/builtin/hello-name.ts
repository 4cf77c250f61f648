import type { Architecture } from "../../linux/arch.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Reference } from "../../oci/reference.ts";

/** The name of the image that lies in the binary, and of no other: see {@link isHello}. */
export const helloReference: Reference = { domain: "docker.io", repository: "gocker/hello", tag: "latest" };

/**
 * The digests of its manifests, written down so that a start need not make the image to know whether the store has it.
 * They change with the program, and with the interpreter that runs it; a test compares.
 */
export const helloManifests: Record<Architecture, Digest> = {
  x86_64: "sha256:df71a69aabc62293912a5b66fa960907b67bc74a1c70bf8d732e824d3c184dec",
  aarch64: "sha256:e9ab3dda266034785212d6d375579eea13389394d12ff3b25b0cb1363c063f1b",
};

/**
 * Whether a reference means the image in the binary: `gocker/hello`, with `latest` or without a tag. That name is never
 * looked up in a registry, so an image that Docker Hub may have under it can only be had by another tag or by digest;
 * these, and other registries' images of that name, are like every other image.
 */
export function isHello({ domain, repository, tag = "latest", digest }: Reference): boolean {
  const own = helloReference;
  return domain === own.domain && repository === own.repository && tag === own.tag && digest === undefined;
}

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
  x86_64: "sha256:0279f1aac7053bb0dc594c34c27ad2f800cc0f9295a8e7b665f672ea7a50e70f",
  aarch64: "sha256:20f22e272df3027379bbf9cc37b2bb6759b0ac310dd12ffe655382a7d3b938f7",
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

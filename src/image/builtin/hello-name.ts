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
  x86_64: "sha256:8b08368f178cdb7bf8dc512809f1071ddef56bc6fc8d6f7bd92d25f10ff5663a",
  aarch64: "sha256:c13caa2e1446d5279b041be062ccef31f33552711ae5443646c8838ecc746525",
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

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
  x86_64: "sha256:c99e4146dd1b9314a42ac73c34640005c97395f17bbe03dfd03232b195985515",
  aarch64: "sha256:170af0685159c55003e659451f611c3d34284fc8230e08f62f4fea309b8ba74b",
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

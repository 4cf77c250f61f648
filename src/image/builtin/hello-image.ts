import type { Architecture } from "../../linux/arch.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { type Digest, digestHex, digestOf } from "../../oci/digest.ts";
import type { ImageConfig } from "../../oci/image-config.ts";
import { mediaTypes } from "../../oci/media-types.ts";
import { formatReference } from "../../oci/reference.ts";
import { annotations } from "../index-file.ts";
import { helloReference } from "./hello-name.ts";
import { helloExecutable } from "./hello-program.ts";
import { type UstarFile, writeUstar } from "./ustar.ts";

/** Linux's names of gocker's architectures, and those of images. */
const architectures = { x86_64: "amd64", aarch64: "arm64" } as const satisfies Record<Architecture, string>;

/** The documents of the image for one architecture; the same for every build of the same sources. */
interface HelloImage {
  readonly manifest: Descriptor;
  readonly blobs: readonly Uint8Array[];
}

/** The digest of the manifest for an architecture. */
export function helloManifestDigest(architecture: Architecture): Digest {
  return helloImage(architecture).manifest.digest;
}

/** The image for both architectures as an OCI image layout in a tar archive. image-spec, image-layout.md */
export function helloArchive(): Uint8Array {
  const images = (Object.keys(architectures) as Architecture[]).map(helloImage);
  const platforms = document({
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: images.map(({ manifest }) => manifest),
  });
  const named = {
    ...describe(platforms, mediaTypes.ociIndex),
    annotations: { [annotations.reference]: formatReference(helloReference) },
  };
  return writeUstar([
    file("oci-layout", document({ imageLayoutVersion: "1.0.0" })),
    file("index.json", document({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [named] })),
    ...[platforms, ...images.flatMap(({ blobs }) => blobs)].map((blob) =>
      file(`blobs/sha256/${digestHex(digestOf(blob))}`, blob),
    ),
  ]);
}

function helloImage(architecture: Architecture): HelloImage {
  const platform = { architecture: architectures[architecture], os: "linux" };
  const layer = writeUstar([{ name: "hello", mode: 0o755, content: helloExecutable(architecture) }]);
  const config = document({
    ...platform,
    config: { Cmd: ["/hello"], WorkingDir: "/" },
    rootfs: { type: "layers", diff_ids: [digestOf(layer)] },
    history: [{ created_by: "gocker", comment: "a program made of system calls" }],
  } satisfies ImageConfig);
  const manifest = document({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: describe(config, mediaTypes.ociConfig),
    layers: [describe(layer, mediaTypes.ociLayer)],
  });
  return {
    manifest: { ...describe(manifest, mediaTypes.ociManifest), platform },
    blobs: [manifest, config, layer],
  };
}

function describe(bytes: Uint8Array, mediaType: string): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function document(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function file(name: string, content: Uint8Array): UstarFile {
  return { name, mode: 0o644, content };
}

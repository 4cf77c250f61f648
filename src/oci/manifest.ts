import { InvalidDocumentError } from "../util/errors.ts";
import { type Descriptor, parseDescriptor } from "./descriptor.ts";
import { asArray, asObject, asString, asStringMap, optional, withoutUndefined } from "./json.ts";
import { readManifestDocument, wrongKind } from "./manifest-document.ts";
import { isImageConfigType, layerCompression, mediaTypes } from "./media-types.ts";

/** OCI image specification, manifest.md; Docker's schema 2 has the same shape. */
export interface Manifest {
  schemaVersion: 2;
  mediaType?: string;
  artifactType?: string;
  config: Descriptor;
  layers: Descriptor[];
  subject?: Descriptor;
  annotations?: Record<string, string>;
}

/** Config types of things that lie in registries but are no images, in words. */
const artifacts: Record<string, string> = {
  "application/vnd.cncf.helm.config.v1+json": "a Helm chart",
  "application/vnd.docker.plugin.v1+json": "a Docker plugin",
  "application/vnd.docker.ai.model.config.v0.1+json": "a model of Docker's model runner",
  "application/vnd.wasm.config.v0+json": "a WebAssembly component",
  "application/vnd.cncf.flux.config.v1+json": "a Flux artifact",
};

/**
 * Reads the manifest of an image that can run: OCI's or Docker's schema 2. Artifacts (charts, plugins, signatures) have
 * the same shape and are refused here, before anything of theirs is downloaded.
 *
 * @param contentType of the answer that brought it, parameters and all; it must agree with the document.
 * @throws InvalidDocumentError when it is an index, schema 1 or no image, or breaks the specification.
 */
export function parseManifest(bytes: Uint8Array, contentType?: string): Manifest {
  const { kind, object, mediaType } = readManifestDocument(bytes, contentType);
  if (kind !== "manifest") throw wrongKind("the manifest of an image", kind);
  const artifactType = optional(object["artifactType"], (value) => asString(value, "artifactType of the manifest"));
  refuseArtifact(asObject(object["config"], "config of the manifest")["mediaType"], artifactType);
  const config = parseDescriptor(object["config"], "config of the manifest");
  if (object["layers"] === undefined) throw new InvalidDocumentError("the manifest has no layers key");
  const entries = optional(object["layers"], (value) => asArray(value, "layers of the manifest")) ?? [];
  const layers = entries.map((entry, position) => {
    const what = `layers[${position}] of the manifest`;
    const layer = parseDescriptor(entry, what);
    refuseLayer(layer, what);
    return layer;
  });
  return withoutUndefined<Manifest>({
    schemaVersion: 2,
    mediaType,
    artifactType,
    config,
    layers,
    subject: optional(object["subject"], (value) => parseDescriptor(value, "subject of the manifest")),
    annotations: optional(object["annotations"], (value) => asStringMap(value, "annotations of the manifest")),
  });
}

function refuseArtifact(configType: unknown, artifactType: string | undefined): void {
  const type = asString(configType, "mediaType of config of the manifest");
  if (isImageConfigType(type)) return;
  const real = type === mediaTypes.ociEmpty && artifactType !== undefined ? artifactType : type;
  const name = Object.hasOwn(artifacts, real) ? artifacts[real] : "another kind of artifact";
  throw new InvalidDocumentError(`this is no container image but ${name} (${JSON.stringify(real)})`, {
    hint: "only images can be run; check the repository and the tag",
  });
}

function refuseLayer(layer: Descriptor, what: string): void {
  if (layerCompression(layer.mediaType) !== undefined) return;
  if (layer.mediaType.endsWith("+encrypted")) {
    throw new InvalidDocumentError(`${what} is encrypted (${JSON.stringify(layer.mediaType)})`, {
      hint: "decrypt the image with the tool that encrypted it, and push it again",
    });
  }
  throw new InvalidDocumentError(
    `${what} is no layer of a file system that gocker knows (${JSON.stringify(layer.mediaType)})`,
    { hint: "only images of tar layers, plain or compressed by gzip or zstd, can be run" },
  );
}

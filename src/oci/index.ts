import { type Descriptor, parseDescriptor } from "./descriptor.ts";
import { asArray, asString, asStringMap, optional, withoutUndefined } from "./json.ts";
import { readManifestDocument, wrongKind } from "./manifest-document.ts";

/** OCI image specification, image-index.md; Docker's manifest list has the same shape. */
export interface Index {
  schemaVersion: 2;
  mediaType?: string;
  artifactType?: string;
  manifests: Descriptor[];
  subject?: Descriptor;
  annotations?: Record<string, string>;
}

/**
 * Reads an OCI index or a Docker manifest list.
 *
 * @param contentType of the answer that brought it, parameters and all; it must agree with the document.
 * @throws InvalidDocumentError when it is none, or breaks the specification.
 */
export function parseIndex(bytes: Uint8Array, contentType?: string): Index {
  const { kind, object, mediaType } = readManifestDocument(bytes, contentType);
  if (kind !== "index") throw wrongKind("an index", kind);
  const manifests = optional(object["manifests"], (value) => asArray(value, "manifests of the index")) ?? [];
  return withoutUndefined<Index>({
    schemaVersion: 2,
    mediaType,
    artifactType: optional(object["artifactType"], (value) => asString(value, "artifactType of the index")),
    manifests: manifests.map((entry, position) => parseDescriptor(entry, `manifests[${position}] of the index`)),
    subject: optional(object["subject"], (value) => parseDescriptor(value, "subject of the index")),
    annotations: optional(object["annotations"], (value) => asStringMap(value, "annotations of the index")),
  });
}

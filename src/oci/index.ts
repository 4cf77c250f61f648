import type { Descriptor } from "./descriptor.ts";

/** OCI image specification, image-index.md; Docker's manifest list has the same shape. */
export interface Index {
  schemaVersion: 2;
  mediaType?: string;
  artifactType?: string;
  manifests: Descriptor[];
  subject?: Descriptor;
  annotations?: Record<string, string>;
}

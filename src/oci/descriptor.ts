import type { Digest } from "./digest.ts";
import type { Platform } from "./platform.ts";

/** What names a blob: its type, digest and length in bytes. OCI image specification, descriptor.md */
export interface Descriptor {
  mediaType: string;
  digest: Digest;
  size: number;
  urls?: string[];
  annotations?: Record<string, string>;
  platform?: Platform;
  artifactType?: string;
  data?: string;
}

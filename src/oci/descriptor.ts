import { InvalidDocumentError } from "../util/errors.ts";
import { type Digest, digestOf, parseDigest } from "./digest.ts";
import { asObject, asString, asStringMap, asStrings, kindOf, optional, withoutUndefined } from "./json.ts";
import { parsePlatformObject, type Platform } from "./platform-object.ts";

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

/**
 * Reads a descriptor, unknown keys left out.
 *
 * @param what its place in errors, such as "layers[2] of the manifest".
 * @throws InvalidDocumentError when a required key is missing or of the wrong form, or `data` is not what it names.
 */
export function parseDescriptor(value: unknown, what: string): Descriptor {
  const object = asObject(value, what);
  const mediaType = asString(object["mediaType"], `mediaType of ${what}`);
  const digest = digestAt(object["digest"], what);
  const size = object["size"];
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    const got = typeof size === "number" ? String(size) : kindOf(size);
    throw new InvalidDocumentError(`size of ${what} must be a number of bytes, not ${got}`);
  }
  const data = optional(object["data"], (entry) => asString(entry, `data of ${what}`));
  if (data !== undefined) checkData(data, digest, size, what);
  return withoutUndefined<Descriptor>({
    mediaType,
    digest,
    size,
    urls: optional(object["urls"], (entry) => asStrings(entry, `urls of ${what}`)),
    annotations: optional(object["annotations"], (entry) => asStringMap(entry, `annotations of ${what}`)),
    platform: optional(object["platform"], (entry) => parsePlatformObject(entry, `platform of ${what}`)),
    artifactType: optional(object["artifactType"], (entry) => asString(entry, `artifactType of ${what}`)),
    data,
  });
}

function digestAt(value: unknown, what: string): Digest {
  const text = asString(value, `digest of ${what}`);
  try {
    return parseDigest(text);
  } catch (error) {
    throw new InvalidDocumentError(`digest of ${what}: ${(error as Error).message}`, { cause: error });
  }
}

function checkData(data: string, digest: Digest, size: number, what: string): void {
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.fromBase64(data);
  } catch (error) {
    throw new InvalidDocumentError(`data of ${what} is not base64`, { cause: error });
  }
  if (bytes.length !== size || digestOf(bytes) !== digest) {
    throw new InvalidDocumentError(`data of ${what} is not what its size and digest say`);
  }
}

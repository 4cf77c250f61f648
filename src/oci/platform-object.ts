import { InvalidDocumentError } from "../util/errors.ts";
import { asObject, asString, asStrings, optional, withoutUndefined } from "./json.ts";

/** For which system an image was made. OCI image specification, image-index.md, "platform". */
export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
  "os.version"?: string;
  "os.features"?: string[];
}

/** Reads the `platform` object of a descriptor. @throws InvalidDocumentError when it breaks the specification. */
export function parsePlatformObject(value: unknown, what: string): Platform {
  const object = asObject(value, what);
  const text = (key: string) => optional(object[key], (entry) => asString(entry, `${key} of ${what}`));
  const architecture = text("architecture");
  const os = text("os");
  if (architecture === undefined || os === undefined) {
    throw new InvalidDocumentError(`${what} must have architecture and os`);
  }
  return withoutUndefined<Platform>({
    os,
    architecture,
    variant: text("variant") || undefined,
    "os.version": text("os.version"),
    "os.features": optional(object["os.features"], (entry) => asStrings(entry, `os.features of ${what}`)),
  });
}

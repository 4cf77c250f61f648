import { InvalidDocumentError } from "../util/errors.ts";
import { type JsonObject, asString, optional, parseJsonObject } from "./json.ts";
import { isIndexType, isManifestType, isSchema1Type, mediaTypeOf } from "./media-types.ts";

/** A manifest of one image, or an index of several. */
export type ManifestKind = "manifest" | "index";

/** What {@link readManifestDocument} found out. */
export interface ManifestDocument {
  kind: ManifestKind;
  /** The document's own `mediaType`. */
  mediaType: string | undefined;
  object: JsonObject;
}

/** What servers say that know no better: the document decides. */
const vagueTypes = new Set(["", "application/json", "text/plain", "application/octet-stream", "binary/octet-stream"]);

const schema1Hint =
  "it was pushed by a Docker older than 1.10; pull it with an old Docker and push it again, or ask its owner for a newer tag";

/**
 * Finds out what a manifest document is, before its parts are read. Content-Type, `mediaType` and the keys present
 * must all say the same: a document that can be read as a manifest and as an index (CVE-2021-41190) would have one
 * digest and two meanings.
 *
 * @throws InvalidDocumentError when they disagree, for schema 1, and for what is neither.
 */
export function readManifestDocument(bytes: Uint8Array, contentType?: string): ManifestDocument {
  const declared = contentType === undefined ? "" : mediaTypeOf(contentType);
  if (isSchema1Type(declared)) throw schema1();
  const object = parseJsonObject(bytes, "the manifest");
  if (object["schemaVersion"] === 1) throw schema1();
  if (object["schemaVersion"] !== 2) {
    const version = JSON.stringify(object["schemaVersion"]) ?? "missing";
    throw new InvalidDocumentError(`schemaVersion of the manifest must be 2, it is ${version}`);
  }
  const mediaType = optional(object["mediaType"], (value) => asString(value, "mediaType of the manifest"));
  // Compared as it stands: a document that says "…+JSON" is not one that another client would take for a manifest.
  if (mediaType !== undefined && mediaType !== "" && !vagueTypes.has(declared) && mediaType !== declared) {
    throw new InvalidDocumentError(
      `the manifest says that it is ${JSON.stringify(mediaType)}, but it came as ${JSON.stringify(declared)}`,
      { hint: "the registry or a proxy before it is broken, or somebody tampers with the answer" },
    );
  }
  const kind = kindByKeys(object);
  for (const said of [mediaType, declared]) {
    if (said === undefined || vagueTypes.has(said)) continue;
    if (isIndexType(said) ? kind === "index" : isManifestType(said) && kind === "manifest") continue;
    if (!isIndexType(said) && !isManifestType(said)) {
      throw new InvalidDocumentError(`${JSON.stringify(said)} is no type of manifest that gocker knows`);
    }
    throw new InvalidDocumentError(
      `the document says that it is ${JSON.stringify(said)}, but it has the keys of ${
        kind === "index" ? "an index" : "a manifest"
      }`,
    );
  }
  return { kind, mediaType: mediaType === "" ? undefined : mediaType, object };
}

/** The error for a document that is well-formed, but not what was asked for. */
export function wrongKind(wanted: string, kind: ManifestKind): InvalidDocumentError {
  return new InvalidDocumentError(
    `expected ${wanted}, but the document is ${kind === "index" ? "an index" : "a manifest"}`,
  );
}

function kindByKeys(object: JsonObject): ManifestKind {
  const has = (key: string) => Object.hasOwn(object, key);
  const isIndex = has("manifests");
  const isManifest = has("config") || has("layers");
  if ((isIndex && isManifest) || has("fsLayers")) {
    const keys = ["manifests", "config", "layers", "fsLayers"].filter(has).join(", ");
    throw new InvalidDocumentError(`the manifest is ambiguous: it has ${keys} (see CVE-2021-41190)`);
  }
  if (isIndex) return "index";
  if (isManifest) return "manifest";
  throw new InvalidDocumentError("the manifest has neither layers nor manifests");
}

function schema1(): InvalidDocumentError {
  return new InvalidDocumentError("the image has a manifest of Docker's schema 1, which is no longer supported", {
    hint: schema1Hint,
  });
}

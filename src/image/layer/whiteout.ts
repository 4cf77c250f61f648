import type { ByteString } from "../../linux/at.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import { parentOf, printable } from "./entry-path.ts";

const prefix = ".wh.";
const metaPrefix = ".wh..wh.";
const opaqueMarker = ".wh..wh..opq";

/**
 * Where layers of Docker's old AUFS driver keep files that have several names, to make the names hard links of them. The
 * directory is no part of the image.
 */
export const hardLinkDirectory = ".wh..wh.plnk";

/** What the name of a layer's member means. OCI image specification, layer.md, "Whiteouts" */
export type EntryMeaning =
  /** An ordinary file, directory, … */
  | { readonly kind: "content" }
  /** Something to be forgotten. */
  | { readonly kind: "ignored" }
  /** Lower layers' `path` is hidden. */
  | { readonly kind: "whiteout"; readonly path: ByteString }
  /** Everything that lower layers have in the directory `path` is hidden. */
  | { readonly kind: "opaque"; readonly path: ByteString };

const content: EntryMeaning = { kind: "content" };
const ignored: EntryMeaning = { kind: "ignored" };

/**
 * Tells markers from content.
 * @param path of {@link layerPath}'s form
 * @throws InvalidDocumentError when a marker is malformed: nothing with the prefix may appear in a root file system
 */
export function classifyEntry(path: ByteString): EntryMeaning {
  if (!path.includes(prefix)) return content;
  const parts = path.split("/");
  if (parts[0] === hardLinkDirectory) return content;
  if (parts.some((part) => part.startsWith(metaPrefix) && part !== opaqueMarker)) return ignored;
  const name = parts.pop() as ByteString;
  if (parts.some((part) => part.startsWith(prefix))) {
    throw new InvalidDocumentError(`a layer has a file below a whiteout: ${printable(path)}`);
  }
  if (name === opaqueMarker) return { kind: "opaque", path: parts.join("/") };
  if (!name.startsWith(prefix)) return content;
  const hidden = name.slice(prefix.length);
  if (hidden === "" || hidden === "." || hidden === "..") {
    throw new InvalidDocumentError(`a layer has a whiteout of nothing: ${printable(path)}`);
  }
  const directory = parentOf(path);
  return { kind: "whiteout", path: directory === "" ? hidden : `${directory}/${hidden}` };
}

import { type ByteString, fromByteString } from "../../linux/at.ts";
import { InvalidDocumentError } from "../../util/errors.ts";

/** Longest path that the kernel takes, without its NUL. PATH_MAX, path_resolution(7) */
const longestPath = 4095;

/** Something between slashes that is empty, `.` or `..`. */
const unusualPart = /(?:^|\/)\.{0,2}(?:\/|$)/;

/**
 * The way to a member of a layer, below the layer's root: without slashes at the ends, without `.`, `..` or empty parts;
 * the root itself is "". Absolute names are below the layer's root like all others. `..` is taken by the words, as
 * everywhere (`a/../b` is `b` even if `a` is a link).
 * @throws InvalidDocumentError when it climbs above the root, as Docker does; or is longer than the kernel allows
 */
export function layerPath(name: ByteString): ByteString {
  let start = 0;
  let end = name.length;
  if (name.startsWith("./")) start = 2;
  while (name[start] === "/") start++;
  while (end > start && name[end - 1] === "/") end--;
  const plain = name.slice(start, end);
  if (plain === "") return "";
  const path = unusualPart.test(plain) ? normalize(plain, name) : plain;
  if (path.length > longestPath) {
    throw new InvalidDocumentError(
      `a layer's file has a name of ${path.length} bytes, the kernel takes ${longestPath}`,
    );
  }
  return path;
}

function normalize(plain: ByteString, name: ByteString): ByteString {
  const parts: ByteString[] = [];
  for (const part of plain.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) {
      throw new InvalidDocumentError(`a layer names a file outside of the image: ${printable(name)}`, {
        hint: "do not use this image: only one made to attack has such names",
      });
    }
  }
  return parts.join("/");
}

/** The directory of a path of {@link layerPath}'s form; "" for names in the root. */
export function parentOf(path: ByteString): ByteString {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

/** The last part of a path. */
export function nameOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The path of `name` in a directory. */
export function joinPath(directory: ByteString, name: ByteString): ByteString {
  return directory === "" ? name : `${directory}/${name}`;
}

/** A name from an image for a message: quoted where it holds anything that could disturb a terminal, and shortened. */
export function printable(name: ByteString): string {
  const text = fromByteString(name.length > 300 ? `${name.slice(0, 300)}...` : name);
  return /^[\p{L}\p{N}\p{M}\p{P}\p{S} ]+$/u.test(text) ? text : JSON.stringify(text);
}

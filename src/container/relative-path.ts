import { UsageError } from "../util/errors.ts";
import { splitPath } from "../util/path.ts";

/**
 * A path within something that is mounted, without dots and doubled slashes; undefined for all of it.
 * @param of `a volume`, for the message
 * @throws UsageError it leads out, by its words; links in there never do
 */
export function relativePath(path: string | undefined, of: string): string | undefined {
  if (path === undefined) return undefined;
  if (path.startsWith("/") || path.split("/").includes("..") || path.includes("\0")) {
    throw new UsageError(`invalid path within ${of} ${JSON.stringify(path)}: it must be relative, without ..`);
  }
  const plain = splitPath(path).join("/");
  return plain === "" ? undefined : plain;
}

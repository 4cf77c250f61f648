import { posix } from "node:path";
import { UsageError } from "../util/errors.ts";

/**
 * A place in the container, without dots and doubled slashes.
 * @throws UsageError it is relative, or the root itself
 */
export function mountTarget(target: string): string {
  if (!target.startsWith("/")) {
    throw new UsageError(`invalid mount target ${JSON.stringify(target)}: it must be an absolute path`);
  }
  if (target.includes("\0")) throw new UsageError(`invalid mount target ${JSON.stringify(target)}: it holds a NUL`);
  const normal = posix.normalize(target).replace(/\/+$/, "");
  if (normal === "")
    throw new UsageError(`invalid mount target ${JSON.stringify(target)}: it would hide the whole root`);
  return normal;
}

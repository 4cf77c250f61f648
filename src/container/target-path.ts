import { fromByteString, readLink } from "../linux/at.ts";
import { S_IFLNK } from "../linux/constants.ts";
import { isType } from "../linux/file-type.ts";
import { GockerError } from "../util/errors.ts";
import { splitPath } from "../util/path.ts";
import type { LayeredRoot } from "./layered-root.ts";

/** As many as the kernel follows on one path. path_resolution(7) */
const maximumLinks = 40;

/**
 * Where a path of the container leads when every link of the image on it is followed, also through links that point to
 * nothing: that is where a missing mount point is to be made. Images link `/etc/resolv.conf` to places below `/run`
 * which only a running system has.
 * @returns an absolute path without links and dots
 * @throws GockerError the links run in a circle
 */
export function locateTarget(image: LayeredRoot, path: string): string {
  let walked: string[] = [];
  let links = 0;
  const rest = splitPath(path).toReversed();
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name === "..") {
      walked.pop();
      continue;
    }
    using entry = image.resolve(`/${[...walked, name].join("/")}`, { noFollow: true });
    if (entry === undefined || entry.kind === "directory" || !isType(entry.stat, S_IFLNK)) {
      walked.push(name);
      continue;
    }
    if (++links > maximumLinks) {
      throw new GockerError("TOO_MANY_LINKS", `cannot mount at ${path}: links of the image run in a circle there`);
    }
    const target = fromByteString(readLink(entry.fd.number));
    if (target.startsWith("/")) walked = [];
    rest.push(
      ...target
        .split("/")
        .filter((part) => part !== "" && part !== ".")
        .toReversed(),
    );
  }
  return `/${walked.join("/")}`;
}

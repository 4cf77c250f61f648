import { fstatSync, readSync } from "node:fs";
import { GockerError } from "../util/errors.ts";
import { openInDirectory, tryReopen } from "./at.ts";
import { O_CLOEXEC, O_NOCTTY, O_NONBLOCK, O_PATH, O_RDONLY } from "./constants.ts";

/**
 * The content of a regular file of a container that runs, by a descriptor of its root directory. No link leads out of
 * there, and nothing but a regular file is opened: to open a device is to use it, and this process is not held by the
 * container's rules for devices. What a process of the container keeps back is not waited for.
 * @param limit the largest size in bytes that is accepted
 * @returns undefined when there is no such file, or none that can be read now
 * @throws GockerError the file is larger than `limit`; SystemCallError
 */
export function readBelow(root: number, path: string, limit: number): Uint8Array | undefined {
  using place = openInDirectory(root, path, O_PATH | O_CLOEXEC);
  if (place === undefined) return undefined;
  const stat = fstatSync(place.number);
  if (!stat.isFile()) return undefined;
  if (stat.size > limit) {
    throw new GockerError("FILE_TOO_LARGE", `${path} of the container has ${stat.size} bytes, more than ${limit}`);
  }
  using file = tryReopen(place.number, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (file === undefined) return undefined;
  const content = new Uint8Array(stat.size);
  let length = 0;
  while (length < content.length) {
    const count = readSync(file.number, content, length, content.length - length, length);
    if (count === 0) break;
    length += count;
  }
  return content.subarray(0, length);
}

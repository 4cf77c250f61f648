import { rmdirSync } from "node:fs";
import { dirname } from "node:path";
import { openDirectory } from "../linux/at.ts";
import { mountIdOf, unmountTree } from "../linux/attached-mount.ts";

/*
 * A container without a mount namespace of its own has its mounts on the host: all of them in one, that of its root
 * directory, at a directory beside its state. So they are nobody else's, whatever else is mounted at the root directory,
 * and are found by whoever deletes the container, also after the call that made them was killed.
 */

/**
 * Removes a container's mounts from the host, with the directory that they are at.
 * @param place see `RuntimeContainer.placeOfMounts`
 * @throws SystemCallError
 */
export function removeHostMounts(place: string): void {
  using parent = openDirectory(dirname(place));
  for (;;) {
    using directory = openDirectory(place);
    if (mountIdOf(directory.number) === mountIdOf(parent.number)) break;
    unmountTree(directory.number, place);
  }
  rmdirSync(place);
}

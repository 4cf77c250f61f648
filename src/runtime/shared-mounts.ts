import { openDirectory } from "../linux/at.ts";
import { detachMount, mountIdOf } from "../linux/attached-mount.ts";
import type { OwnedFd } from "../linux/fd.ts";
import type { RuntimeContainer } from "./runtime-container.ts";

/*
 * A container without a mount namespace of its own has its mounts on the host, all of them in one: that of its root
 * directory, at that directory. They are removed with the container, which is the only one that knows of them.
 */

/** What is mounted at a root directory before the container's own mount is: see {@link removeSharedMounts}. */
export function mountBelow(rootfs: string): number {
  using directory = openDirectory(rootfs);
  return mountIdOf(directory.number);
}

/**
 * Removes the mounts of a container from the host, if it has any there. Its processes have ended.
 * @throws SystemCallError
 */
export function removeSharedMounts({ state }: RuntimeContainer): void {
  if (state.mountBelow === undefined) return;
  using directory = openRoot(state.rootfs);
  // Else it was killed before it was there, or somebody has removed it; and what is there is the caller's.
  if (directory !== undefined && mountIdOf(directory.number) !== state.mountBelow) detachMount(directory.number);
}

function openRoot(path: string): OwnedFd | undefined {
  try {
    return openDirectory(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

import { posix } from "node:path";
import type { ImageConfigExecution } from "../oci/image-config.ts";
import { mountTarget } from "./mount-target.ts";
import type { MountOption } from "./options.ts";

/** A volume that a container needs, not yet looked up. */
export interface VolumeRequest {
  /** Absent: an anonymous volume, made for this container. */
  readonly name?: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** Do not fill an empty volume with what the image has at the target. */
  readonly noCopy: boolean;
}

/** A volume of a container with its place on the host. */
export interface MountedVolume {
  readonly name: string;
  readonly anonymous: boolean;
  /** The directory on the host that is mounted. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/**
 * The volumes that the user and the image want. A place for which the user has a mount of any kind needs no volume of
 * the image's; the image's places are taken from the root when they are relative.
 * @throws UsageError a target is no place for a mount
 */
export function volumeRequests(
  image: Pick<ImageConfigExecution, "Volumes"> | undefined,
  mounts: readonly MountOption[],
): VolumeRequest[] {
  const requests: VolumeRequest[] = [];
  const taken = new Set<string>();
  for (const mount of mounts) {
    const target = mountTarget(mount.target);
    taken.add(target);
    if (mount.type !== "volume") continue;
    const { readOnly, noCopy } = mount;
    requests.push({ ...(mount.name === undefined ? {} : { name: mount.name }), target, readOnly, noCopy });
  }
  for (const place of Object.keys(image?.Volumes ?? {})) {
    const target = mountTarget(posix.join("/", place));
    if (taken.has(target)) continue;
    taken.add(target);
    requests.push({ target, readOnly: false, noCopy: false });
  }
  return requests;
}

import { posix } from "node:path";
import type { ImageConfigExecution } from "../oci/image-config.ts";
import { newContainerId } from "../util/ids.ts";
import { mountTarget } from "./mount-target.ts";
import { parseName } from "./names.ts";
import type { MountOption, VolumeMountOption } from "./options.ts";

/** A volume that a container needs, not yet looked up. */
export interface VolumeRequest extends Omit<VolumeMountOption, "type" | "name"> {
  readonly name: string;
  /** Made for this container, or for one whose volumes it has (`--volumes-from`). */
  readonly anonymous: boolean;
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
 * The volumes that the user and the image want; anonymous ones get new names of 64 digits. A place for which the user
 * has a mount of any kind needs no volume of the image's; the image's places are taken from the root when they are
 * relative.
 * @throws UsageError a target is no place for a mount, a name is none
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
    const { type: _type, name, anonymous = name === undefined, ...rest } = mount;
    requests.push({
      ...rest,
      target,
      anonymous,
      name: name === undefined ? newContainerId() : parseName(name, "volume"),
    });
  }
  for (const place of Object.keys(image?.Volumes ?? {})) {
    const target = mountTarget(posix.join("/", place));
    if (taken.has(target)) continue;
    taken.add(target);
    requests.push({ name: newContainerId(), anonymous: true, target, readOnly: false, noCopy: false });
  }
  return requests;
}

import type { MountedImage } from "./image-mounts.ts";
import type { MountOption } from "./options.ts";
import type { RecordedMount } from "./record.ts";
import type { VolumeRequest } from "./volume-requests.ts";

/** What a container's record says of its mounts: those that the user and the image asked for. */
export function recordedMounts(
  mounts: readonly MountOption[],
  volumes: readonly VolumeRequest[],
  images: readonly MountedImage[] = [],
): RecordedMount[] {
  const others = mounts.flatMap((mount): RecordedMount[] => {
    if (mount.type === "volume" || mount.type === "image") return [];
    const { type, target: destination } = mount;
    if (mount.type === "tmpfs") return [{ type, destination, readOnly: mount.options.includes("ro") }];
    const { source, readOnly, propagation, recursive } = mount;
    return [
      {
        type,
        source,
        destination,
        readOnly,
        ...(propagation !== undefined && { propagation }),
        ...(!recursive && { recursive: false as const }),
      },
    ];
  });
  const requested = volumes.map(({ name, anonymous, target, readOnly, subpath }): RecordedMount => ({
    type: "volume",
    name,
    anonymous,
    destination: target,
    readOnly,
    ...(subpath !== undefined && { subpath }),
  }));
  const ofImages = images.map(({ option, id, layers }): RecordedMount => ({
    type: "image",
    source: option.image,
    destination: option.target,
    readOnly: true,
    ...(option.subpath !== undefined && { subpath: option.subpath }),
    imageId: id,
    layers: layers.map(({ diffId }) => diffId),
  }));
  return [...others, ...requested, ...ofImages];
}

/** The names of the volumes that a container has. */
export function volumesOf(mounts: readonly RecordedMount[]): string[] {
  return mounts.flatMap(({ type, name }) => (type === "volume" && name !== undefined ? [name] : []));
}

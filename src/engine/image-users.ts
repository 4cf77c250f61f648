import type { ContainerRecord } from "../container/record.ts";
import { ContainerStore } from "../container/records.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import type { EngineContext } from "./context.ts";

/**
 * The containers, for what they have of images: while the record of one cannot be read, nothing may be removed.
 * @throws InvalidDocumentError
 */
export function usersOfImages({ root }: Pick<EngineContext, "root">): ContainerRecord[] {
  return ContainerStore.open(root).list((_id, error) => {
    throw error;
  });
}

/** The layers that containers are made of. @throws as {@link usersOfImages} */
export function layersInUse(context: Pick<EngineContext, "root">): Digest[] {
  return usersOfImages(context).flatMap(({ layers, mounts }) =>
    [...layers, ...mounts.flatMap((mount) => mount.layers ?? [])].filter((layer) => isDigest(layer)),
  );
}

/** The IDs of the images that a container is made of, or has mounts of. */
export function imagesOf({ image, mounts }: ContainerRecord): string[] {
  return [image.id, ...mounts.flatMap(({ imageId }) => imageId ?? [])];
}

import { collectGarbage, sweepTemporary } from "../image/garbage.ts";
import { settle } from "../image/settle.ts";
import type { StoredImage } from "../image/stored-image.ts";
import type { EngineContext } from "./context.ts";
import { imagesOf, layersInUse, usersOfImages } from "./image-users.ts";
import { recordEvent } from "./record-event.ts";
import { recordRemoval, type RemovedImage } from "./rmi.ts";

/** What {@link pruneImages} removed. */
export interface PrunedImages extends RemovedImage {
  /** What the files took that no other image and no container needs; in bytes. */
  readonly reclaimed: number;
}

/**
 * Removes images that no container is made of, and all content that nobody needs.
 * @param isWanted which of them
 * @throws InvalidDocumentError the record of a container cannot be read
 */
export async function pruneImages(
  context: EngineContext,
  isWanted: (image: StoredImage) => boolean,
): Promise<PrunedImages> {
  const { images } = context;
  const used = new Set(usersOfImages(context).flatMap(imagesOf));
  const unused = images.list().filter((image) => !used.has(image.id) && isWanted(image));
  const untagged: string[] = [];
  const deleted: string[] = [];
  for (const image of unused) {
    const removed = await images.remove([image.manifestDigest]);
    const deletedNow = removed.manifests.map(() => image.id);
    recordRemoval(context, image, { untagged: removed.untagged, deleted: deletedNow });
    untagged.push(...removed.untagged);
    deleted.push(...deletedNow);
  }
  await sweepTemporary(images.paths);
  await settle(images);
  const { bytes } = await collectGarbage(images, { inUse: () => layersInUse(context) });
  recordEvent(context, { type: "image", action: "prune", id: "", attributes: { reclaimed: String(bytes) } });
  return { untagged, deleted, reclaimed: bytes };
}

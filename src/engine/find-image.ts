import type { StoredImage } from "../image/stored-image.ts";
import type { ProgressListener } from "../image/progress.ts";
import type { EngineContext } from "./context.ts";

/**
 * The image of that name or ID, fit to be run; undefined when there is none here. One that the machine went down upon
 * before it was on the disk is put right first, which takes as long as unpacking it.
 * @throws ConflictError for an ambiguous ID, StoreDamagedError
 */
export async function findImage(
  context: Pick<EngineContext, "images">,
  nameOrId: string,
  options: { onProgress?: ProgressListener | undefined; signal?: AbortSignal | undefined } = {},
): Promise<StoredImage | undefined> {
  const image = context.images.resolve(nameOrId);
  if (image === undefined || image.certain) return image;
  const { repairImage } = await import("../image/repair.ts");
  return repairImage(context.images, image, options);
}

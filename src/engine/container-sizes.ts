import type { ContainerRecord } from "../container/record.ts";
import { readLayerRecord } from "../image/stored-image.ts";
import { diskUsage } from "../linux/disk-usage.ts";
import { isDigest } from "../oci/digest.ts";
import type { EngineContext } from "./context.ts";
import type { ContainerSizes } from "./inspect/facts.ts";

/**
 * How much a container has written, and how much that is with its image, as `images` counts that.
 * @throws SystemCallError what it has written cannot be walked over
 */
export function containerSizes(
  { images }: Pick<EngineContext, "images">,
  { layers }: Pick<ContainerRecord, "layers">,
  directory: string,
): ContainerSizes {
  const written = diskUsage(`${directory}/upper`);
  const image = layers
    .filter((layer) => isDigest(layer))
    .reduce((sum, layer) => sum + (readLayerRecord(images.paths, layer)?.size ?? 0), 0);
  return { written, whole: image + written };
}

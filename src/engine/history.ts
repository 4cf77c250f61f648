import { readLayerRecord } from "../image/stored-image.ts";
import type { ImageConfig } from "../oci/image-config.ts";
import type { EngineContext } from "./context.ts";
import { namedImage } from "./named-image.ts";

/** One step by which an image was made. */
export interface HistoryStep {
  /** The image's, of its last step alone: those before are no images here. */
  readonly id: string | undefined;
  /** RFC 3339. */
  readonly created: string | undefined;
  readonly createdBy: string;
  readonly comment: string;
  /** Of the layer that came of it, as a tar archive; in bytes. */
  readonly size: number;
}

/**
 * How an image was made by its own account, the last step first.
 * @throws NotFoundError, ConflictError, StoreDamagedError
 */
export function imageHistory(context: EngineContext, nameOrId: string): HistoryStep[] {
  const { id, config } = namedImage(context, nameOrId);
  const sizes = config.rootfs.diff_ids.map((diffId) => readLayerRecord(context.images.paths, diffId)?.size ?? 0);
  // An image that gives no account has had one step for each of its layers.
  const account: NonNullable<ImageConfig["history"]> =
    config.history ?? sizes.map(() => (config.created === undefined ? {} : { created: config.created }));
  let layer = 0;
  const steps = account.map(({ created, created_by: createdBy = "", comment = "", empty_layer: isEmpty = false }) => {
    return { id: undefined, created, createdBy, comment, size: isEmpty ? 0 : (sizes[layer++] ?? 0) };
  });
  return steps.toReversed().map((step, position) => (position === 0 ? { ...step, id } : step));
}

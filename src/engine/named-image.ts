import type { StoredImage } from "../image/stored-image.ts";
import { NotFoundError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";

/**
 * The image of that name or ID.
 * @throws NotFoundError there is none here; ConflictError for an ambiguous ID, StoreDamagedError
 */
export function namedImage({ images }: Pick<EngineContext, "images">, nameOrId: string): StoredImage {
  const image = images.resolve(nameOrId);
  if (image !== undefined) return image;
  throw noSuchImage(nameOrId);
}

/** @param nameOrId as the user said it */
export function noSuchImage(nameOrId: string): NotFoundError {
  return new NotFoundError(`no such image: ${nameOrId}`, { hint: "gocker images lists those that are here" });
}

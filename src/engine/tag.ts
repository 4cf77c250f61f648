import { formatReference, parseReference } from "../oci/reference.ts";
import { UsageError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";
import { namedImage } from "./named-image.ts";
import { recordImageEvent } from "./record-event.ts";

/**
 * `gocker tag`: gives an image one more name, which it takes from the image that had it.
 * @param nameOrId of the image
 * @param name the new one; `latest` when it has no tag
 * @throws NotFoundError, InvalidReferenceError; UsageError the new name has a digest
 */
export async function tagImage(context: EngineContext, nameOrId: string, name: string): Promise<void> {
  const reference = parseReference(name);
  if (reference.digest !== undefined) {
    throw new UsageError(`${name} has a digest, which no name can be given to`, {
      hint: "leave out what follows the @",
    });
  }
  const image = namedImage(context, nameOrId);
  const tagged = { ...reference, tag: reference.tag ?? "latest" };
  await context.images.tag(image, tagged);
  recordImageEvent(context, "tag", {
    id: image.id,
    name: formatReference(tagged),
    labels: image.config.config?.Labels,
  });
}

import { collectGarbage, sweepTemporary } from "../image/garbage.ts";
import { settle } from "../image/settle.ts";
import type { StoredImage } from "../image/stored-image.ts";
import { familiarReference, formatReference, parseReference } from "../oci/reference.ts";
import { ConflictError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";
import { imagesOf, layersInUse, usersOfImages } from "./image-users.ts";
import { noSuchImage } from "./named-image.ts";
import { recordImageEvent } from "./record-event.ts";

/** What {@link removeImage} took away. */
export interface RemovedImage {
  /** Canonical references that no longer exist. */
  readonly untagged: readonly string[];
  /** IDs of images that no longer exist. */
  readonly deleted: readonly string[];
}

/**
 * Removes an image by its name or ID. A name of an image that has others is only taken away; with its last name, or by
 * its ID, the image goes, and with it every layer that no other image and no container uses.
 * @param options.force also when containers (which are not running) use it, or an ID has several names
 * @throws NotFoundError, ConflictError
 */
export async function removeImage(
  context: EngineContext,
  nameOrId: string,
  options: { force?: boolean } = {},
): Promise<RemovedImage> {
  const { images } = context;
  const manifest = images.findManifest(nameOrId);
  if (manifest === undefined) throw noSuchImage(nameOrId);
  const image = images.list().find(({ manifestDigest }) => manifestDigest === manifest);
  const name = image === undefined ? undefined : referenceOf(image, nameOrId);
  if (image !== undefined && name !== undefined && image.references.length > 1) {
    const { untagged } = await images.untag(name);
    recordRemoval(context, image, { untagged, deleted: [] });
    return { untagged, deleted: [] };
  }
  if (image !== undefined) {
    if (name === undefined) refuseSeveralNames(image, nameOrId, options.force === true);
    refuseUse(context, image, nameOrId, options.force === true);
  }
  const { untagged, manifests } = await images.remove([manifest]);
  const deleted = manifests.map((digest) => (digest === manifest ? (image?.id ?? digest) : digest));
  recordRemoval(context, image, { untagged, deleted });
  await sweepTemporary(images.paths);
  await settle(images);
  await collectGarbage(images, { inUse: () => layersInUse(context) });
  return { untagged, deleted };
}

/** As soon as nobody finds the image any more: what is left of it may take a while. */
export function recordRemoval(context: EngineContext, image: StoredImage | undefined, removed: RemovedImage): void {
  const labels = image?.config.config?.Labels;
  if (image !== undefined) {
    const { id } = image;
    for (const _name of removed.untagged) recordImageEvent(context, "untag", { id, name: id, labels });
  }
  for (const gone of removed.deleted) recordImageEvent(context, "delete", { id: gone, name: gone, labels });
}

/** The canonical reference of the image that the user meant; undefined when it was an ID. */
function referenceOf(image: StoredImage, nameOrId: string): string | undefined {
  if (/^(?:sha256:)?[0-9a-f]{64}$/.test(nameOrId) || nameOrId.startsWith("sha256:")) return undefined;
  const reference = parseReference(nameOrId);
  const name = formatReference({ ...reference, tag: reference.tag ?? "latest" });
  return image.references.find((known) => known === name);
}

function refuseSeveralNames({ references }: StoredImage, nameOrId: string, force: boolean): void {
  if (force || references.length < 2) return;
  const names = references.map((text) => familiarReference(parseReference(text))).join(", ");
  throw new ConflictError(`the image ${nameOrId} has several names: ${names}`, {
    hint: "remove it by its names, or with --force by its ID",
  });
}

function refuseUse(context: EngineContext, { id }: StoredImage, nameOrId: string, force: boolean): void {
  const users = usersOfImages(context).filter((record) => imagesOf(record).includes(id));
  const running = users.find(({ state }) => state.status === "running");
  if (running !== undefined) {
    throw new ConflictError(`the image ${nameOrId} is used by the running container ${running.name}`, {
      hint: `stop it, then gocker rm ${running.name}`,
    });
  }
  const [user] = users;
  if (user === undefined || force) return;
  throw new ConflictError(`the image ${nameOrId} is used by the container ${user.name}`, {
    hint: `gocker rm ${user.name}, or use --force: the container keeps its layers`,
  });
}

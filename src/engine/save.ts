import { type ImageToSave, saveArchive } from "../image/archive/save.ts";
import { formatReference, parseReference } from "../oci/reference.ts";
import type { EngineContext } from "./context.ts";
import { namedImage } from "./named-image.ts";
import { recordImageEvent } from "./record-event.ts";

/**
 * `gocker save`: writes images into an archive that `load`, docker and podman read.
 * @param names a name with a tag, a repository for all that it has here, or an ID, whose image has no name there
 * @param write takes the archive's bytes, which are only valid during the call
 * @throws NotFoundError, ConflictError for an ambiguous ID; as `saveArchive`
 */
export async function saveImages(
  context: EngineContext,
  names: readonly string[],
  write: (bytes: Uint8Array) => void,
): Promise<void> {
  // Nothing of it goes away meanwhile.
  using _pin = await context.images.pin();
  const wanted = new Map<string, ImageToSave>();
  for (const { image, references } of names.flatMap((name) => imagesOf(context, name))) {
    const before = wanted.get(image.manifestDigest)?.references ?? [];
    wanted.set(image.manifestDigest, { image, references: [...new Set([...before, ...references])] });
  }
  await saveArchive(context.images.paths, [...wanted.values()], write);
  for (const { image } of wanted.values()) {
    recordImageEvent(context, "save", { id: image.id, name: image.id, labels: image.config.config?.Labels });
  }
}

function imagesOf(context: EngineContext, name: string): ImageToSave[] {
  const ofRepository = imagesOfRepository(context, name);
  if (ofRepository.length > 0) return ofRepository;
  const image = namedImage(context, name);
  const reference = isWholeId(name) ? undefined : parseReference(name);
  if (reference?.tag === undefined || reference.digest !== undefined) return [{ image, references: [] }];
  return [{ image, references: [formatReference(reference)] }];
}

/** None unless a name without tag and digest is that of a repository. */
function imagesOfRepository({ images }: EngineContext, name: string): ImageToSave[] {
  if (isWholeId(name)) return [];
  const reference = parseReference(name);
  if (reference.tag !== undefined || reference.digest !== undefined) return [];
  const repository = `${formatReference(reference)}:`;
  return images.list().flatMap((image) => {
    const references = image.references.filter((text) => text.startsWith(repository));
    return references.length === 0 ? [] : [{ image, references }];
  });
}

/** What cannot be anything but an ID or its beginning. */
function isWholeId(name: string): boolean {
  return /^(?:sha256:[0-9a-f]+|[0-9a-f]{64})$/.test(name);
}

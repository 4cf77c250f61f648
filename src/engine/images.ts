import type { StoredImage } from "../image/stored-image.ts";
import { formatReference, parseReference } from "../oci/reference.ts";
import type { EngineContext } from "./context.ts";

/** One name of one image; an image without a name has one line of its own. */
export interface ImageSummary {
  readonly id: string;
  /** The canonical name without the tag: `docker.io/library/alpine`. Undefined for an image that has none. */
  readonly repository: string | undefined;
  /** Undefined for an untagged image. */
  readonly tag: string | undefined;
  /** What the registry calls it: the digest of its index or manifest. Undefined for one that was loaded. */
  readonly digest: string | undefined;
  /** RFC 3339, as the image says. */
  readonly created: string | undefined;
  /** Length of its layers, uncompressed, in bytes. */
  readonly size: number;
  readonly os: string;
  readonly architecture: string;
}

/** What {@link listImages} can be told. */
export interface ListImagesOptions {
  /** Only images of this repository, or with this tag. */
  readonly name?: string | undefined;
  /** Told of images that cannot be read. */
  readonly onDamage?: ((error: Error) => void) | undefined;
}

/** The images in the store, the newest first. */
export function listImages(context: EngineContext, options: ListImagesOptions = {}): ImageSummary[] {
  const wanted = options.name === undefined ? undefined : parseReference(options.name);
  return context.images
    .list(options.onDamage)
    .flatMap(summaries)
    .filter(({ repository, tag }) => {
      if (wanted === undefined) return true;
      const isOfRepository = repository === `${wanted.domain}/${wanted.repository}`;
      return isOfRepository && (wanted.tag === undefined || wanted.tag === tag);
    })
    .toSorted((one, other) => (other.created ?? "").localeCompare(one.created ?? "", "en"));
}

function summaries(image: StoredImage): ImageSummary[] {
  const [origin] = image.repositoryDigests;
  const at = origin?.indexOf("@") ?? -1;
  const common = {
    id: image.id,
    digest: origin?.slice(at + 1),
    created: image.config.created,
    size: image.size,
    os: image.config.os,
    architecture: image.config.architecture,
  };
  if (image.references.length === 0) return [{ ...common, repository: origin?.slice(0, at), tag: undefined }];
  return image.references.map((text) => {
    const { tag, ...reference } = parseReference(text);
    return { ...common, repository: formatReference(reference), tag };
  });
}

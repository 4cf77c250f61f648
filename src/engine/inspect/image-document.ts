import type { StoredImage } from "../../image/stored-image.ts";
import { familiarReference, parseReference } from "../../oci/reference.ts";
import { Dictionary, omitEmpty } from "../../util/document.ts";
import { noTime } from "./facts.ts";
import { imageConfigDocument } from "./image-config.ts";

/**
 * What `inspect` tells of an image: the shape, names and units of Docker's API (GET /images/NAME/json of version 1.50).
 */
export function imageDocument(image: StoredImage) {
  const { config, layerDirectories } = image;
  const familiar = (text: string) => familiarReference(parseReference(text));
  const [upper = "", ...lower] = layerDirectories.toReversed();
  return omitEmpty(
    {
      Id: image.id,
      RepoTags: image.references.map(familiar),
      RepoDigests: image.repositoryDigests.map(familiar),
      Parent: "",
      Comment: config.history?.at(-1)?.comment ?? "",
      Created: config.created ?? "",
      DockerVersion: "",
      Author: config.author ?? "",
      Config: imageConfigDocument(config.config ?? {}),
      Architecture: config.architecture,
      Variant: config.variant ?? "",
      Os: config.os,
      OsVersion: config["os.version"] ?? "",
      Size: image.size,
      GraphDriver: {
        Data: Dictionary.of({ ...(lower.length > 0 && { LowerDir: lower.join(":") }), UpperDir: upper }),
        Name: "overlay",
      },
      RootFS: omitEmpty({ Type: "layers", Layers: config.rootfs.diff_ids }, "Layers"),
      Metadata: { LastTagTime: noTime },
    },
    "Created",
    "Variant",
    "OsVersion",
  );
}

import type { ImageConfig } from "../oci/image-config.ts";

/**
 * What an image says about itself, as annotations of the container's specification. Labels win over what follows from
 * other fields, the user's labels over the image's. OCI image specification, conversion.md, "Annotation Fields"
 */
export function buildAnnotations(
  image: ImageConfig,
  labels: Readonly<Record<string, string>>,
  stopSignal: string | undefined,
): Record<string, string> {
  const implicit: Record<string, string | undefined> = {
    os: image.os,
    "os.version": image["os.version"],
    "os.features": image["os.features"]?.join(","),
    architecture: image.architecture,
    variant: image.variant,
    author: image.author,
    created: image.created,
    stopSignal: stopSignal ?? image.config?.StopSignal,
    exposedPorts: Object.keys(image.config?.ExposedPorts ?? {})
      .sort()
      .join(","),
  };
  const annotations: Record<string, string> = {};
  for (const [name, value] of Object.entries(implicit)) {
    if (value !== undefined && value !== "") annotations[`org.opencontainers.image.${name}`] = value;
  }
  return { ...annotations, ...image.config?.Labels, ...labels };
}

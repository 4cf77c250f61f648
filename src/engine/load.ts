import type { ArchiveInput } from "../image/archive/bytes.ts";
import type { LoadedImage } from "../image/archive/load.ts";
import type { ProgressListener } from "../image/progress.ts";
import { parsePlatform } from "../oci/platform.ts";
import type { EngineContext } from "./context.ts";
import { recordImageEvent } from "./record-event.ts";

/** What {@link load} can be told. */
export interface LoadOptions {
  /** `linux/arm64`: the host's unless told, or the only one in the archive. */
  readonly platform?: string | undefined;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Loads the images of an archive.
 * @param input a path, 0 for stdin, or the archive's bytes
 * @throws the errors of loadArchive
 */
export async function load(
  context: EngineContext,
  input: ArchiveInput,
  options: LoadOptions = {},
): Promise<LoadedImage[]> {
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  const { loadArchive } = await import("../image/archive/load.ts");
  const loaded = await loadArchive(context.images, input, { ...options, platform });
  for (const { image } of loaded) {
    recordImageEvent(context, "load", { id: image.id, name: image.id, labels: image.config.config?.Labels });
  }
  return loaded;
}

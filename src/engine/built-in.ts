import { StoreDamagedError } from "../image/errors.ts";
import { helloManifests, isHello } from "../image/builtin/hello-name.ts";
import type { InstallOptions } from "../image/install.ts";
import type { StoredImage } from "../image/stored-image.ts";
import { hostArchitecture } from "../linux/arch.ts";
import { parseReference } from "../oci/reference.ts";
import type { EngineContext } from "./context.ts";

/** What {@link loadBuiltIn} can be told. */
export interface BuiltInOptions extends InstallOptions {
  /** `linux/arm64`: the host's unless told. */
  readonly platform?: string | undefined;
}

/**
 * Whether a name means the image that lies in the binary, `gocker/hello`: see isHello.
 * @throws the errors of parseReference
 */
export function isBuiltIn(name: string): boolean {
  // Most names are told apart by this alone.
  return name.includes("gocker/hello") && isHello(parseReference(name));
}

/**
 * The built-in image as the store has it. When it is not there, or another one has its name (that of another gocker,
 * or one that was loaded from an archive), it is loaded first.
 * @throws the errors of loadArchive
 */
export async function findBuiltIn(
  context: Pick<EngineContext, "images">,
  name: string,
  options: BuiltInOptions = {},
): Promise<StoredImage> {
  const present = options.platform === undefined ? stored(context, name) : undefined;
  return present ?? loadBuiltIn(context, options);
}

function stored({ images }: Pick<EngineContext, "images">, name: string): StoredImage | undefined {
  const manifest = helloManifests[hostArchitecture];
  if (images.findManifest(name) !== manifest) return undefined;
  try {
    const image = images.image(manifest);
    return image.certain ? image : undefined;
  } catch (error) {
    if (error instanceof StoreDamagedError) return undefined;
    throw error;
  }
}

/**
 * Loads the built-in image as any archive of images is loaded, and gives it its name.
 * @throws PlatformError when it does not exist for that platform, the errors of loadArchive
 */
export async function loadBuiltIn(
  context: Pick<EngineContext, "images">,
  options: BuiltInOptions = {},
): Promise<StoredImage> {
  const [{ loadArchive }, { helloArchive }, { hostPlatform, parsePlatform }] = await Promise.all([
    import("../image/archive/load.ts"),
    import("../image/builtin/hello-image.ts"),
    import("../oci/platform.ts"),
  ]);
  const platform = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform);
  const [loaded] = await loadArchive(context.images, helloArchive(), { ...options, platform });
  if (loaded === undefined) throw new Error("the archive of the built-in image has no image");
  return loaded.image;
}

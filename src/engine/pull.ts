import type { ProgressListener } from "../image/progress.ts";
import type { StoredImage } from "../image/stored-image.ts";
import { parsePlatform } from "../oci/platform.ts";
import { familiarReference, formatReference, parseReference, type Reference, withVersion } from "../oci/reference.ts";
import { isBuiltIn, loadBuiltIn } from "./built-in.ts";
import type { EngineContext } from "./context.ts";
import { recordImageEvent } from "./record-event.ts";

/** What {@link pull} can be told. */
export interface PullOptions {
  /** `linux/arm64`: the host's unless told. */
  readonly platform?: string | undefined;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What {@link pull} brought. */
export interface PullResult {
  readonly image: StoredImage;
  /** The canonical reference that was pulled. */
  readonly reference: string;
  /** The tag that was taken because the registry has no `latest`, when none was asked for. */
  readonly substituted?: string | undefined;
  /** Whether the name led to another image before, or to none. */
  readonly isNew: boolean;
}

/**
 * Pulls an image from its registry. The one in the binary (`gocker/hello`) is loaded instead; no registry is asked.
 * @param name such as `alpine`, `ghcr.io/owner/app:1.2` or `alpine@sha256:…`; without a tag `latest` is meant
 * @throws the errors of parseReference, of the registry and of pullImage
 */
export async function pull(context: EngineContext, name: string, options: PullOptions = {}): Promise<PullResult> {
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  const named = parseReference(name);
  if (isBuiltIn(name)) {
    const before = context.images.findManifest(name);
    const image = await loadBuiltIn(context, options);
    return { image, reference: formatReference(withLatest(named)), isNew: image.manifestDigest !== before };
  }
  const [{ pullImage }, { loadRegistriesConfig }, { RegistryClient }] = await Promise.all([
    import("../image/pull.ts"),
    import("../registry/config.ts"),
    import("../registry/client.ts"),
  ]);
  using client = new RegistryClient({
    config: await loadRegistriesConfig(),
    insecure: context.insecureRegistries,
    log: context.debug,
  });
  const { reference, substituted } = await client.resolveTag(named, { signal: options.signal });
  const canonical = formatReference(reference);
  const before = context.images.findManifest(canonical);
  const { onProgress, signal } = options;
  const substituteFor = substituted === undefined ? undefined : withLatest(named);
  const image = await pullImage(context.images, client, reference, { platform, onProgress, signal, substituteFor });
  recordImageEvent(context, "pull", {
    id: familiarReference(reference),
    name: familiarReference(withVersion(reference, {})),
    labels: image.config.config?.Labels,
  });
  return { image, reference: canonical, substituted, isNew: image.manifestDigest !== before };
}

function withLatest({ domain, repository }: Reference): Reference {
  return { domain, repository, tag: "latest" };
}

import { GockerError, type GockerErrorOptions, UsageError } from "../util/errors.ts";
import type { Descriptor } from "./descriptor.ts";
import type { Index } from "./index.ts";
import { isIndexType, isManifestType, isSchema1Type } from "./media-types.ts";
import type { Platform } from "./platform-object.ts";

export type { Platform } from "./platform-object.ts";

/** An image exists, but not for the platform that was asked for. */
export class PlatformError extends GockerError {
  override readonly name = "PlatformError";
  readonly wanted: Platform;
  /** Those that exist. */
  readonly available: readonly Platform[];

  constructor(message: string, wanted: Platform, available: readonly Platform[], options?: GockerErrorOptions) {
    super("PLATFORM", message, options);
    this.wanted = wanted;
    this.available = available;
  }
}

/** The names of other tools for the architectures of Go, which images use. */
const aliases: Record<string, { architecture: string; variant?: string }> = {
  x86_64: { architecture: "amd64" },
  "x86-64": { architecture: "amd64" },
  i386: { architecture: "386" },
  i686: { architecture: "386" },
  aarch64: { architecture: "arm64" },
  armhf: { architecture: "arm", variant: "v7" },
  armel: { architecture: "arm", variant: "v6" },
};

const architectures = new Set(
  "386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x wasm".split(" "),
);
const operatingSystems = new Set("aix darwin freebsd linux netbsd openbsd solaris wasip1 windows".split(" "));

/** The platform of this machine, as images name it. */
export function hostPlatform(): Platform {
  return { os: "linux", architecture: process.arch === "x64" ? "amd64" : process.arch };
}

/**
 * Reads `os/architecture[/variant]`, `architecture` or `os` alone, with the usual other names (`x86_64`, `aarch64`).
 *
 * @throws UsageError when it is of no such form.
 */
export function parsePlatform(text: string): Platform {
  const parts = text.toLowerCase().split("/");
  if (parts.length > 3 || parts.some((part) => !/^[a-z0-9_.-]+$/.test(part))) {
    throw new UsageError(`${JSON.stringify(text)} is not a platform`, { hint: "write linux/amd64 or linux/arm64/v8" });
  }
  const [first = "", second, variant] = parts;
  if (second !== undefined) return normalize({ os: first, architecture: second, ...(variant && { variant }) });
  const { os, architecture } = hostPlatform();
  if (operatingSystems.has(first)) return { os: first, architecture };
  if (first in aliases || architectures.has(first)) return normalize({ os, architecture: first });
  throw new UsageError(`${JSON.stringify(text)} is neither an operating system nor an architecture`, {
    hint: "write linux/amd64 or linux/arm64/v8",
  });
}

/** `linux/arm64/v8`. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = platform;
  const version = platform["os.version"] === undefined ? "" : ` (${platform["os.version"]})`;
  return [os, architecture, variant].filter((part) => part !== undefined && part !== "").join("/") + version;
}

/**
 * Whether an image made for `image` runs where `wanted` is asked for, and how well: 0 is the very platform, more is
 * older, undefined is not at all. No architecture stands in for another one (386 on amd64, arm on arm64), although many
 * processors could: who wants that says so with `--platform`.
 */
export function platformDistance(image: Platform, wanted: Platform): number | undefined {
  const [one, other] = [normalize(image), normalize(wanted)];
  if (one.os !== other.os || one.architecture !== other.architecture) return undefined;
  const [has, wants] = [variantLevel(one), variantLevel(other)];
  if (has === undefined || wants === undefined) return one.variant === other.variant ? 0 : undefined;
  return has <= wants ? wants - has : undefined;
}

/**
 * Picks the manifest for a platform: the nearest variant, the first of equals (image-index.md). Attestations are no
 * images. An entry that names no platform is taken when nothing else fits; the image's config then tells.
 *
 * @returns a manifest or an index.
 * @throws PlatformError with the platforms that exist.
 */
export function choosePlatform(index: Index, wanted: Platform): Descriptor {
  const images = index.manifests.filter(isImage);
  let best: { descriptor: Descriptor; distance: number } | undefined;
  for (const descriptor of images) {
    if (descriptor.platform === undefined) continue;
    const distance = platformDistance(descriptor.platform, wanted);
    if (distance === undefined || (best !== undefined && best.distance <= distance)) continue;
    best = { descriptor, distance };
  }
  if (best !== undefined) return best.descriptor;
  const unnamed = images.find(({ platform }) => platform === undefined);
  if (unnamed !== undefined) return unnamed;
  throw noSuchPlatform(
    wanted,
    images.flatMap(({ platform }) => platform ?? []),
  );
}

/**
 * The check of an image's config, for images that no index names the platform of.
 *
 * @param name of the image, for the error
 * @throws PlatformError when it does not run on `wanted`.
 */
export function checkPlatform(name: string, has: Platform, wanted: Platform): void {
  if (platformDistance(has, wanted) !== undefined) return;
  throw new PlatformError(
    `${name} has no image for ${formatPlatform(wanted)}, only one for ${formatPlatform(has)}`,
    wanted,
    [has],
    { hint: `ask for it with --platform ${formatPlatform(has)}, or look for another tag` },
  );
}

function noSuchPlatform(wanted: Platform, available: readonly Platform[]): PlatformError {
  const names = [...new Set(available.map(formatPlatform))];
  const list = names.length === 0 ? "it has no image at all" : `it exists for ${names.join(", ")}`;
  const hint = names.length === 0 ? {} : { hint: `run it with --platform ${names[0]} if this machine can` };
  return new PlatformError(`the image does not exist for ${formatPlatform(wanted)}: ${list}`, wanted, available, hint);
}

function isImage(descriptor: Descriptor): boolean {
  const { mediaType, platform, annotations, artifactType } = descriptor;
  if (!isManifestType(mediaType) && !isIndexType(mediaType) && !isSchema1Type(mediaType)) return false;
  if (platform?.os === "unknown" && platform.architecture === "unknown") return false;
  if (annotations?.["vnd.docker.reference.type"] !== undefined) return false;
  return artifactType === undefined || platform !== undefined;
}

function normalize(platform: Platform): Platform {
  const os = platform.os.toLowerCase() === "macos" ? "darwin" : platform.os.toLowerCase();
  const name = platform.architecture.toLowerCase();
  const alias = Object.hasOwn(aliases, name) ? aliases[name] : undefined;
  const variant = (platform.variant || alias?.variant)?.toLowerCase();
  const numbered = variant !== undefined && /^\d/.test(variant) ? `v${variant}` : variant;
  return { os, architecture: alias?.architecture ?? name, ...(numbered !== undefined && { variant: numbered }) };
}

/** A processor of a level runs what was made for the levels below: each level's number, by what a missing one means. */
function variantLevel({ architecture, variant }: Platform): number | undefined {
  const missing: Record<string, string> = { amd64: "v1", arm: "v7", arm64: "v8" };
  const meant = variant ?? missing[architecture];
  if (meant === undefined || !(architecture in missing)) return undefined;
  const level = /^v(\d+)(?:\.(\d+))?$/.exec(meant);
  return level === null ? undefined : Number(level[1]) * 100 + Number(level[2] ?? 0);
}

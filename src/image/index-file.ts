import { existsSync } from "node:fs";
import type { Descriptor } from "../oci/descriptor.ts";
import { mediaTypes } from "../oci/media-types.ts";
import { writeFileAtomic } from "../util/atomic-file.ts";
import { StoreDamagedError } from "./errors.ts";
import type { StorePaths } from "./paths.ts";
import { readIfThere } from "../util/read-if-there.ts";

/**
 * The annotations of an entry of the store's `index.json`. An entry names one manifest by one reference; a manifest
 * with several references has several entries, one without any has one entry without `reference`.
 */
export const annotations = {
  /** The canonical reference, such as `docker.io/library/alpine:3.19`. OCI image specification, annotations.md */
  reference: "org.opencontainers.image.ref.name",
  /** `repository@digest` as the registry names the image: its index where it has one, else its manifest. */
  source: "gocker.image.source",
  /** The reference (with `latest`) that the user asked for when the registry had no such tag and another was taken. */
  substituteFor: "gocker.image.substitute-for",
  /**
   * The boot ID of the kernel that recorded the image, and when (RFC 3339), as long as it is not certain that its files
   * are on the disk: see settle.ts.
   */
  unsettled: "gocker.image.unsettled",
} as const;

/** An annotation of an entry. */
export function annotation(entry: Descriptor, name: keyof typeof annotations): string | undefined {
  return entry.annotations?.[annotations[name]];
}

/**
 * The entries of the store's index; none when there is no index yet. It is read at every start of a container and was
 * written here, so only what a lookup relies on is checked: strict parsing would take longer than all the rest.
 * @throws StoreDamagedError
 */
export function readEntries(paths: StorePaths): Descriptor[] {
  const text = readIfThere(paths.index);
  if (text === undefined) return [];
  const entries = parseEntries(text);
  if (entries !== undefined) return entries;
  throw new StoreDamagedError(`the index of the image store cannot be read: ${paths.index}`, {
    hint: "move the file away and pull the images again",
  });
}

function parseEntries(text: string): Descriptor[] | undefined {
  let index: { manifests?: unknown } | null;
  try {
    index = JSON.parse(text) as typeof index;
  } catch {
    return undefined;
  }
  const entries = index?.manifests;
  return Array.isArray(entries) && entries.every(isEntry) ? entries : undefined;
}

function isEntry(value: unknown): value is Descriptor {
  if (typeof value !== "object" || value === null) return false;
  const { digest, mediaType, annotations: notes } = value as Partial<Record<keyof Descriptor, unknown>>;
  const isAnnotated = notes === undefined || (typeof notes === "object" && notes !== null);
  return typeof digest === "string" && digest.startsWith("sha256:") && typeof mediaType === "string" && isAnnotated;
}

/** Replaces the entries, durably. Only for the holder of the exclusive store lock. */
export function writeEntries(paths: StorePaths, entries: readonly Descriptor[]): void {
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: entries };
  const layoutFile = `${paths.images}/oci-layout`;
  if (!existsSync(layoutFile)) writeFileAtomic(layoutFile, '{"imageLayoutVersion":"1.0.0"}\n', { mode: 0o644 });
  writeFileAtomic(paths.index, `${JSON.stringify(index, undefined, 2)}\n`, { mode: 0o644, durable: true });
}

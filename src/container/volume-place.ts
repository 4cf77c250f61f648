import { dirname } from "node:path";
import type { ConfinedPath } from "../runtime/plan/mount-context.ts";

/**
 * Which part of which volume a path of the host is. Containers make links in volumes, which lead nowhere else.
 * @param root gocker's root directory
 * @param source a path without dots and doubled slashes
 * @returns undefined for a whole volume, and for what is in none
 */
export function placeInVolume(root: string, source: string): ConfinedPath | undefined {
  const volumes = `${root}/volumes/`;
  if (!source.startsWith(volumes)) return undefined;
  const [, name, place = ""] = /^([^/]+)\/_data(\/.+)$/s.exec(source.slice(volumes.length)) ?? [];
  return name === undefined ? undefined : { directory: `${volumes}${name}/_data`, place };
}

/**
 * Tells what of a container's mounts is in volumes: `ContainerProcessOptions.confined`.
 * @param directory the container's
 */
export function confinedSources(directory: string): (source: string) => ConfinedPath | undefined {
  const root = dirname(dirname(directory));
  return (source) => placeInVolume(root, source);
}

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { NotFoundError } from "../util/errors.ts";
import { LayeredRoot } from "./layered-root.ts";
import type { ImageMountOption } from "./options.ts";
import type { RecordedMount } from "./record.ts";
import { locateTarget } from "./target-path.ts";
import { fillUpper, type MarkedLayer, readLayers, visibleLayers } from "./upper.ts";

/** An image of which a container has a mount, as the store has it. */
export interface MountedImage {
  readonly option: ImageMountOption;
  readonly id: string;
  /** Its layers' diff IDs and directories, lowest first. */
  readonly layers: readonly { readonly diffId: string; readonly directory: string }[];
}

/** Where an image's files show in the container's mount namespace, and what the host has for that. */
export interface ImagePlace {
  readonly layers: readonly MarkedLayer[];
  /** A layer above the image's: see {@link fillUpper}. */
  readonly top: string;
  /** A directory that the files cover. */
  readonly target: string;
}

function placeOf(directory: string, index: number, layers: readonly MarkedLayer[]): ImagePlace {
  return { layers, top: `${directory}/images/${index}/top`, target: `${directory}/images/${index}/files` };
}

/** Where the images of a container's mounts show. @param directory the container's */
export function imagePlaces(
  directory: string,
  mounts: readonly RecordedMount[],
  layerDirectory: (diffId: string) => string,
): ImagePlace[] {
  const images = mounts.filter(({ type }) => type === "image");
  return images.map(({ layers = [] }, index) => placeOf(directory, index, readLayers(layers.map(layerDirectory))));
}

/**
 * Makes the places of a new container's image mounts. On the host something of the same kind stands for what will be there.
 * @param directory the container's
 * @returns the sources of its bind mounts
 * @throws NotFoundError an image has not the path that is to be mounted; SystemCallError
 */
export function makeImagePlaces(
  directory: string,
  images: readonly MountedImage[],
): { readonly target: string; readonly source: string }[] {
  return images.map(({ option, layers }, index) => {
    const place = placeOf(directory, index, readLayers(layers.map((layer) => layer.directory)));
    mkdirSync(place.top, { recursive: true, mode: 0o700 });
    mkdirSync(place.target, { mode: 0o700 });
    fillUpper(place.top, place.layers);
    const { subpath } = option;
    return {
      target: option.target,
      source: place.target + (subpath === undefined ? "" : stand(place, option, subpath)),
    };
  });
}

/** @returns where the path leads by the links of the image */
function stand({ layers, target }: ImagePlace, { image }: ImageMountOption, subpath: string): string {
  using root = LayeredRoot.open(visibleLayers(layers).map(({ directory }) => directory));
  const located = locateTarget(root, subpath);
  using found = root.resolve(located, { noFollow: true });
  if (found === undefined) throw new NotFoundError(`the image ${image} has no ${subpath} that could be mounted`);
  if (found.kind === "directory") mkdirSync(target + located, { recursive: true });
  else {
    mkdirSync(dirname(target + located), { recursive: true });
    writeFileSync(target + located, "");
  }
  return located;
}

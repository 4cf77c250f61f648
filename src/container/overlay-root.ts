import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { isAtLeast, type KernelVersion } from "../linux/kernel.ts";
import type { OverlayRoot } from "../runtime/root.ts";
import type { ImagePlace } from "./image-mounts.ts";
import { mountPointLayer } from "./mount-points.ts";
import { type MarkedLayer, visibleLayers } from "./upper.ts";

/** What a container's root file system is put together of. */
export interface OverlayParts {
  /** gocker's root directory. */
  readonly root: string;
  /** The container's. */
  readonly directory: string;
  /** The image's, lowest first. */
  readonly layers: readonly MarkedLayer[];
  /** Nothing of it needs to be on the disk in the end: it is removed with the container. */
  readonly volatile: boolean;
  readonly kernel: KernelVersion;
  /** Of its image mounts. */
  readonly images: readonly ImagePlace[];
}

/** The overlay of an image's layers and a container's own directories `upper`, `work` and `rootfs`. */
export function overlayRoot({ root, directory, layers, volatile, kernel, images }: OverlayParts): OverlayRoot {
  const visible = visibleLayers(layers).map((layer) => layer.directory);
  const below = (path: string) => path.slice(root.length + 1);
  return {
    kind: "overlay",
    base: root,
    lower: [mountPointLayer(dirname(directory)), ...visible].map(below),
    upper: below(`${directory}/upper`),
    work: below(`${directory}/work`),
    target: below(`${directory}/rootfs`),
    volatile,
    layersOneByOne: isAtLeast(kernel, 6, 7),
    ...(images.length > 0 && {
      images: images.map((image) => ({
        lower: [...visibleLayers(image.layers).map((layer) => layer.directory), image.top].map(below),
        target: below(image.target),
      })),
    }),
  };
}

/**
 * Lets a container's overlay be mounted once more although it was volatile, which the kernel marks: only after an end in the
 * same boot, when nothing that it wrote can be lost. overlayfs.rst, "Volatile mount"
 * @param directory the container's
 */
export function makeMountable(directory: string): void {
  rmSync(`${directory}/work/work/incompat/volatile`, { recursive: true, force: true });
}

import { kernelVersion } from "../linux/kernel.ts";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import type { OverlayRoot } from "../runtime/root.ts";
import { imagePlaces } from "./image-mounts.ts";
import { LayeredRoot } from "./layered-root.ts";
import { overlayRoot } from "./overlay-root.ts";
import type { ContainerRecord } from "./record.ts";
import { readStoredSpec, storedVersion } from "./stored-spec.ts";
import { locateTarget } from "./target-path.ts";
import { readLayers, visibleLayers } from "./upper.ts";

/** Where a container lies that was made before. */
export interface ContainerPlace {
  /** gocker's root directory. */
  readonly root: string;
  /** The container's. */
  readonly directory: string;
  readonly record: ContainerRecord;
  /** Where an unpacked layer lies, by its diff ID. */
  layerDirectory(this: void, diffId: string): string;
}

/** A container that is there, to be started. */
export interface OpenContainer extends Disposable {
  readonly spec: RuntimeSpec;
  /** See `storedVersion`. */
  readonly specVersion: string;
  readonly rootFileSystem: OverlayRoot;
  /** See `MountFacts.resolveTarget`. Until this is disposed of. */
  resolveTarget(this: void, path: string): string;
}

/**
 * Opens a container that does not run.
 * @throws NotFoundError, InvalidDocumentError its specification is broken; SystemCallError
 */
export function openContainer({ root, directory, record, layerDirectory }: ContainerPlace): OpenContainer {
  const layers = readLayers(record.layers.map(layerDirectory));
  // First: what is written in between is another version.
  const specVersion = storedVersion(directory);
  const spec = readStoredSpec(record.id, directory);
  const kernel = kernelVersion();
  const images = imagePlaces(directory, record.mounts, layerDirectory);
  const rootFileSystem = overlayRoot({ root, directory, layers, volatile: record.remove, kernel, images });
  const files = LayeredRoot.open([...visibleLayers(layers).map((layer) => layer.directory), `${directory}/upper`]);
  return {
    spec,
    specVersion,
    rootFileSystem,
    resolveTarget: (path) => locateTarget(files, path),
    [Symbol.dispose]: () => files[Symbol.dispose](),
  };
}

import { dirname } from "node:path";
import { type Change, changesOf } from "../container/changes.ts";
import { type LayeredDirectory, LayeredRoot } from "../container/layered-root.ts";
import { mountPointLayer } from "../container/mount-points.ts";
import { readLayers, visibleLayers } from "../container/upper.ts";
import { StorePaths } from "../image/paths.ts";
import { openDirectory } from "../linux/at.ts";
import type { Digest } from "../oci/digest.ts";
import type { EngineContext } from "./context.ts";
import { findContainer } from "./find-container.ts";

/**
 * What a container has changed of its image's files, whether or not it runs; not what is in its volumes.
 * @param reference its name, ID, or the beginning of its ID
 * @throws NotFoundError, UsageError, SystemCallError
 */
export async function diffContainer(
  context: Pick<EngineContext, "root" | "state">,
  reference: string,
): Promise<Change[]> {
  const { stores, record } = await findContainer(context, reference);
  const paths = new StorePaths(context.root);
  const layers = readLayers(record.layers.map((diffId) => paths.layer(diffId as Digest)));
  const directory = stores.containers.directory(record.id);
  const lowest = mountPointLayer(dirname(directory));
  using image = LayeredRoot.open([lowest, ...visibleLayers(layers).map((layer) => layer.directory)]);
  using lower = image.resolve("/") as LayeredDirectory;
  using upper = openDirectory(`${directory}/upper`);
  return changesOf(upper, lower);
}

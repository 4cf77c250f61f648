import type { ContainerRecord } from "../container/record.ts";
import { volumeUsers } from "../container/volume-users.ts";
import { readLayerRecord, type StoredImage } from "../image/stored-image.ts";
import { diskUsage } from "../linux/disk-usage.ts";
import type { Digest } from "../oci/digest.ts";
import type { EngineContext } from "./context.ts";
import { openContainers } from "./reconcile.ts";

/** What things of one kind take on the disk. Sizes are in bytes. */
export interface Space {
  readonly total: number;
  /** Those that are in use: containers that run, and what containers have. */
  readonly active: number;
  readonly size: number;
  /** What the others take alone. */
  readonly reclaimable: number;
}

/** `gocker system df` */
export interface SpaceOfAll {
  readonly images: Space;
  readonly containers: Space;
  readonly volumes: Space;
}

/**
 * What images, containers and volumes take.
 * @throws ConflictError, InvalidDocumentError a container's record cannot be read; SystemCallError
 */
export async function spaceOfAll(context: EngineContext): Promise<SpaceOfAll> {
  const { containers, volumes } = await openContainers(context);
  const records = containers.list();
  const usersOf = volumeUsers(containers);
  return {
    images: spaceOfImages(context, records),
    containers: spaceOf(
      records.map(({ id, state }) => ({
        active: state.status === "running" || state.status === "restarting",
        size: diskUsage(`${containers.directory(id)}/upper`),
      })),
    ),
    volumes: spaceOf(
      volumes.list().map(({ name }) => ({ active: usersOf(name).length > 0, size: diskUsage(volumes.dataPath(name)) })),
    ),
  };
}

interface Thing {
  readonly active: boolean;
  readonly size: number;
}

function spaceOf(things: readonly Thing[]): Space {
  const sizeOf = (some: readonly Thing[]) => some.reduce((sum, { size }) => sum + size, 0);
  return {
    total: things.length,
    active: things.filter(({ active }) => active).length,
    size: sizeOf(things),
    reclaimable: sizeOf(things.filter(({ active }) => !active)),
  };
}

/** Layers that several images have count once. */
function spaceOfImages({ images }: EngineContext, records: readonly ContainerRecord[]): Space {
  const all = images.list();
  const used = new Set(records.map(({ image }) => image.id));
  const active = all.filter(({ id }) => used.has(id));
  const sizeOf = (layers: ReadonlySet<Digest>) =>
    [...layers].reduce((sum, layer) => sum + (readLayerRecord(images.paths, layer)?.size ?? 0), 0);
  const size = sizeOf(layersOf(all));
  return { total: all.length, active: active.length, size, reclaimable: size - sizeOf(layersOf(active)) };
}

function layersOf(images: readonly StoredImage[]): ReadonlySet<Digest> {
  return new Set(images.flatMap(({ config }) => config.rootfs.diff_ids));
}

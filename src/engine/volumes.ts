import { newContainerId, shortId } from "../util/ids.ts";
import { volumeUsers } from "../container/volume-users.ts";
import type { VolumeRecord } from "../container/volume-record.ts";
import { NotFoundError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";
import { type ContainerStores, openContainers } from "./reconcile.ts";

/** What a list shows of a volume. */
export interface VolumeSummary extends VolumeRecord {
  /** The directory that containers mount. */
  readonly mountpoint: string;
  /** The IDs of the containers that have it, running or not. */
  readonly users: readonly string[];
}

export interface CreateVolumeOptions {
  /** Absent: an anonymous volume, with a name of 64 digits. */
  readonly name?: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Of Docker's driver `local`: see `volumeSource`. */
  readonly options: Readonly<Record<string, string>>;
}

type Context = Pick<EngineContext, "root" | "state" | "debug">;

/** After putting in order what was left of containers: what was half made and half removed of volumes goes, too. */
async function openVolumes(context: Context): Promise<ContainerStores> {
  const stores = await openContainers(context);
  stores.volumes.sweep();
  return stores;
}

/**
 * Makes a volume. One that has the name already is left as it is.
 * @returns its name
 * @throws UsageError the name or the options are none
 */
export async function createVolume(context: Context, wanted: CreateVolumeOptions): Promise<string> {
  const { volumes } = await openVolumes(context);
  const { name, labels, options } = wanted;
  const record = await volumes.create({
    name: name ?? newContainerId(),
    anonymous: name === undefined,
    labels,
    ...(Object.keys(options).length > 0 && { options }),
  });
  return record.name;
}

/**
 * The volumes, by name.
 * @param onBroken told of what cannot be read, a volume or a container; it is left out
 */
export async function listVolumes(
  context: Context,
  onBroken: (what: string, error: unknown) => void,
): Promise<VolumeSummary[]> {
  const { volumes, containers } = await openVolumes(context);
  const usersOf = volumeUsers(containers, {
    onBroken: (id, error) => onBroken(`container ${shortId(id)}`, error),
  });
  return volumes
    .list((name, error) => onBroken(`volume ${name}`, error))
    .map((record) => ({ ...record, mountpoint: volumes.dataPath(record.name), users: usersOf(record.name) }));
}

/** Removes a volume. @throws NotFoundError; ConflictError a container has it */
export async function removeVolume(context: Context, name: string): Promise<void> {
  const { volumes, containers } = await openVolumes(context);
  if (await volumes.remove(name, volumeUsers(containers))) return;
  throw new NotFoundError(`no such volume: ${name}`, { hint: "`gocker volume ls` lists the volumes" });
}

/** What {@link pruneVolumes} removed. */
export interface PrunedVolumes {
  readonly names: readonly string[];
  /** The size of their files; in bytes. */
  readonly reclaimed: number;
}

/**
 * Removes volumes that no container has.
 * @param isWanted which of them
 * @throws ConflictError a container's record cannot be read, so that nobody knows which volumes are in use
 */
export async function pruneVolumes(
  context: Context,
  isWanted: (record: VolumeRecord) => boolean,
): Promise<PrunedVolumes> {
  const { volumes, containers } = await openVolumes(context);
  const candidates = volumes
    .list()
    .filter(isWanted)
    .map(({ name }) => name);
  const names: string[] = [];
  let reclaimed = 0;
  await volumes.removeUnused(candidates, volumeUsers(containers), (name, size) => {
    names.push(name);
    reclaimed += size;
  });
  return { names, reclaimed };
}

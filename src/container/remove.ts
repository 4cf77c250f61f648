import type { ClaimedContainer } from "./claim.ts";
import type { ContainerRecord } from "./record.ts";
import type { ContainerStore } from "./records.ts";
import type { VolumeStore } from "./volumes.ts";

/**
 * Removes a container that does not run, and ends the claim.
 * @param options.anonymousVolumes also remove the volumes that were made for it, unless another container has them
 * @throws SystemCallError something cannot be removed; the next `reconcileContainers` tries again
 */
export async function removeContainer(
  stores: { readonly containers: ContainerStore; readonly volumes: VolumeStore },
  claim: ClaimedContainer,
  options: { readonly anonymousVolumes: boolean },
): Promise<void> {
  const { record } = claim;
  claim.remove();
  if (!options.anonymousVolumes) return;
  for (const name of anonymousVolumesOf(record)) {
    if (volumeUsers(stores.containers, name).length > 0) continue;
    await stores.volumes.remove(name, (volume) => volumeUsers(stores.containers, volume));
  }
}

/** The names of the volumes that were made for the container. */
export function anonymousVolumesOf(record: ContainerRecord): string[] {
  return record.mounts.flatMap(({ anonymous, name }) => (anonymous === true && name !== undefined ? [name] : []));
}

/** The IDs of the containers whose records name the volume. */
export function volumeUsers(containers: ContainerStore, name: string): string[] {
  return containers
    .list()
    .filter(({ mounts }) => mounts.some((mount) => mount.type === "volume" && mount.name === name))
    .map(({ id }) => id);
}

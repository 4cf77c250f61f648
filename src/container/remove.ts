import { ConflictError } from "../util/errors.ts";
import type { ClaimedContainer } from "./claim.ts";
import type { ContainerRecord } from "./record.ts";
import type { ContainerStore } from "./records.ts";
import { volumeUsers } from "./volume-users.ts";
import type { VolumeStore } from "./volumes.ts";

/**
 * Removes a container that does not run, and ends the claim; also one whose record is damaged. Its volumes go first: as long as its record is there,
 * whoever is killed in between can be made up for.
 * @param options.anonymousVolumes also remove the volumes that were made for it, unless another container has them
 * @throws SystemCallError something cannot be removed; what is left can be removed by doing it again
 */
export async function removeContainer(
  stores: { readonly containers: ContainerStore; readonly volumes: VolumeStore },
  claim: ClaimedContainer,
  options: { readonly anonymousVolumes: boolean },
): Promise<void> {
  const { id } = claim;
  // Without one it is not known which volumes were made for it: they stay, and `volume prune` finds them.
  const record = claim.hasRecord ? claim.record : undefined;
  for (const name of options.anonymousVolumes && record !== undefined ? anonymousVolumesOf(record) : []) {
    try {
      await stores.volumes.remove(name, volumeUsers(stores.containers, { except: id }));
    } catch (error) {
      // Another container has the volume: it stays, with that one.
      if (!(error instanceof ConflictError)) throw error;
    }
  }
  if (record === undefined || record.options?.diskSize !== undefined) {
    const { releaseDisk } = await import("./disk-limit.ts");
    releaseDisk(`${claim.directory}/upper`);
  }
  claim.remove();
}

/** The names of the volumes that were made for the container. */
function anonymousVolumesOf(record: ContainerRecord): string[] {
  return record.mounts.flatMap(({ anonymous, name }) => (anonymous === true && name !== undefined ? [name] : []));
}

import { FileLock } from "../linux/lock.ts";
import { NotFoundError } from "../util/errors.ts";
import { ClaimedContainer, type ContainerEnd, exitedState } from "./claim.ts";
import { DamagedRecordError } from "./damaged-record.ts";
import type { ContainerRecord } from "./record.ts";
import type { ContainerStore } from "./records.ts";
import { volumesOf } from "./recorded-mounts.ts";
import { removeContainer } from "./remove.ts";
import type { VolumeStore } from "./volumes.ts";

/** SIGKILL, as a shell shows it. */
const killedEnd: ContainerEnd = { exitCode: 137, error: "gocker was killed" };

/** What {@link reconcileContainers} works on. */
export interface ReconcileInput {
  readonly containers: ContainerStore;
  readonly volumes: VolumeStore;
  /**
   * Ends what is left of a container whose gocker died: its processes and its cgroup. Returns when they are gone. Only
   * the ID is known of a container that was killed while it was made.
   */
  readonly kill: (id: string, record: ContainerRecord | undefined) => Promise<void> | void;
  /** Told of one that ran, before its record says that it does not any more. */
  readonly onEnd?: (record: ContainerRecord, end: ContainerEnd) => void;
  /** Told of one that is removed, as `--rm` wants. */
  readonly onRemoved?: (record: ContainerRecord) => void;
  /** Told of a container that could not be put in order; the others still are. It is tried again the next time. */
  readonly onError: (id: string, error: unknown) => void;
}

/**
 * Puts in order what gockers that died left behind: containers that say they run although nobody holds their lock are
 * ended and marked as killed, or removed when they were started with `--rm`; half-made and half-removed ones go.
 *
 * Costs one readdir when nothing runs, and one lock for each container that runs.
 * @returns the IDs of the containers that were put in order
 */
export async function reconcileContainers(input: ReconcileInput): Promise<string[]> {
  const settled: string[] = [];
  for (const id of input.containers.activeIds()) {
    const lock = FileLock.tryAcquire(input.containers.lockPath(id), "exclusive");
    if (lock === undefined) continue;
    try {
      await settle(input, id, lock);
      settled.push(id);
    } catch (error) {
      input.onError(id, error);
    } finally {
      lock.release();
    }
  }
  if (settled.length > 0) input.volumes.sweep();
  return settled;
}

async function settle(input: ReconcileInput, id: string, lock: FileLock): Promise<void> {
  let record: ContainerRecord | undefined;
  try {
    record = readIfWhole(input.containers, id);
  } catch (error) {
    if (!(error instanceof DamagedRecordError)) throw error;
    // Its files may be of use to its user, its processes are of none: nobody could tell what they are.
    await input.kill(id, undefined);
    lock.removeAndRelease();
    return;
  }
  if (record === undefined) {
    await input.kill(id, undefined);
    input.containers.removeFiles(id);
    lock.removeAndRelease();
    return;
  }
  const wasAlive = record.state.status === "running" || record.state.status === "restarting";
  // One that was just being started has a cgroup by then, and may have processes, before its record tells of any.
  await input.kill(id, record);
  await input.volumes.unmount(volumesOf(record.mounts), id);
  const claim = new ClaimedContainer(input.containers, id, lock);
  claim.adopt(record);
  if (wasAlive) input.onEnd?.(record, killedEnd);
  if (record.remove) {
    await removeContainer(input, claim, { anonymousVolumes: true });
    input.onRemoved?.(record);
    return;
  }
  if (wasAlive) markKilled(input.containers, claim);
  claim[Symbol.dispose]();
}

/** What cannot be written down (the disk is full) is true all the same. */
function markKilled(containers: ContainerStore, claim: ClaimedContainer): void {
  const { state } = claim.record;
  try {
    claim.markExited(killedEnd);
  } catch (error) {
    containers.assume(claim.id, state, exitedState(state, killedEnd));
    throw error;
  }
}

/** Undefined for a container that was not made whole. A record of a newer gocker is an error: not ours to throw away. */
function readIfWhole(containers: ContainerStore, id: string): ContainerRecord | undefined {
  try {
    return containers.read(id);
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

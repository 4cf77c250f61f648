import type { FileLock } from "../linux/lock.ts";
import { processState } from "../linux/process-state.ts";
import { GockerError } from "../util/errors.ts";
import { probeOf, unknownHealth } from "./healthcheck.ts";
import type { ContainerHealth, ContainerRecord, ContainerState } from "./record.ts";

/** Where a claim's container is kept: the `ContainerStore` that made the claim. */
export interface ContainerKeeper {
  directory(id: string): string;
  writeState(id: string, state: ContainerState): void;
  removeFiles(id: string): void;
  isKept(id: string): boolean;
}

/** How a container ended. */
export interface ContainerEnd {
  readonly exitCode: number;
  /** See `ContainerState.oomKilled`. */
  readonly oomKilled?: boolean;
  /** Why it did not run, or did not end by itself. */
  readonly error?: string;
}

/** Where a container is that has just ended. @param before where it was */
export function exitedState({ startedAt, restartCount }: ContainerState, end: ContainerEnd): ContainerState {
  return {
    status: "exited",
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(restartCount === undefined ? {} : { restartCount }),
    finishedAt: new Date().toISOString(),
    ...end,
  };
}

/**
 * The right to change, run or remove one container: its lock is held until this is disposed of. Dispose of it when the
 * container has ended or is removed; a claim that is given up while the record says "running" leaves the container to
 * the next `reconcileContainers`.
 */
export class ClaimedContainer implements Disposable {
  readonly id: string;
  readonly #store: ContainerKeeper;
  readonly #lock: FileLock;
  #record: ContainerRecord | undefined;
  /** When it was started before the last time. */
  #startedBefore: string | undefined;

  /** For `ContainerStore`, which makes claims. */
  constructor(store: ContainerKeeper, id: string, lock: FileLock) {
    this.#store = store;
    this.id = id;
    this.#lock = lock;
  }

  /** The container's directory on the host. */
  get directory(): string {
    return this.#store.directory(this.id);
  }

  /** Of its lock, for a process that is to hold the claim as well. */
  get lockDescriptor(): number {
    return this.#lock.descriptor;
  }

  get record(): ContainerRecord {
    if (this.#record === undefined) throw new GockerError("STATE", `container ${this.id} has no record`);
    return this.#record;
  }

  /** That of a container that is to be removed may be lost. */
  get hasRecord(): boolean {
    return this.#record !== undefined;
  }

  /** Takes over the record as the disk has it. */
  adopt(record: ContainerRecord): void {
    this.#record = record;
  }

  /** The first process was started. */
  markRunning(pid: number): void {
    const pidStartTime = processState(pid)?.startTime;
    const { status, restartCount, finishedAt, startedAt: startedBefore } = this.record.state;
    this.#startedBefore = startedBefore;
    this.#setState({
      status: "running",
      pid,
      ...(finishedAt !== undefined && { finishedAt }),
      ...(status === "restarting" && restartCount !== undefined && { restartCount }),
      ...(pidStartTime === undefined ? {} : { pidStartTime }),
      startedAt: new Date().toISOString(),
      // Its monitor takes it from there.
      ...(probeOf(this.record.healthcheck) !== undefined && { health: unknownHealth }),
    });
  }

  /** Its first process was there, but has not become the program: what {@link markExited} then tells is no start. */
  forgetStart(): void {
    const { startedAt: _startedAt, ...state } = this.record.state;
    const startedBefore = this.#startedBefore;
    this.#record = {
      ...this.record,
      state: { ...state, ...(startedBefore !== undefined && { startedAt: startedBefore }) },
    };
  }

  /** So many of its processes have been killed for lack of memory since it was started; it runs on. */
  markOomKilled(count: number): void {
    this.#setState({ ...this.record.state, oomKilled: true, oomKills: count });
  }

  /** What its health check has found, of a container that runs. */
  markHealth(health: ContainerHealth): void {
    this.#setState({ ...this.record.state, health });
  }

  /** The container has ended, and is started again after a while by its policy, for the so manieth time. */
  markRestarting(end: ContainerEnd, restartCount: number): void {
    const { startedAt } = this.record.state;
    this.#setState({
      status: "restarting",
      ...(startedAt === undefined ? {} : { startedAt }),
      finishedAt: new Date().toISOString(),
      restartCount,
      ...end,
    });
  }

  /** The container has ended, or could not be started. One with `--rm` keeps no account of that on the disk. */
  markExited(end: ContainerEnd): void {
    this.#setState(exitedState(this.record.state, end));
  }

  /** Nothing of it will be there to be read. */
  #isRemoved(status: ContainerState["status"]): boolean {
    return status === "exited" && this.record.remove && !this.#store.isKept(this.id);
  }

  #setState(state: ContainerState): void {
    const record = { ...this.record, state };
    if (!this.#isRemoved(state.status)) this.#store.writeState(this.id, state);
    this.#record = record;
  }

  /**
   * Removes the container: its files, its name, and the claim itself. Its volumes are `removeContainer`'s.
   * @throws SystemCallError something is in the way; the next `reconcileContainers` tries again
   */
  remove(): void {
    // From here on there is no way back: should this fail, disposing must leave the rest to be found.
    this.#record = undefined;
    this.#store.removeFiles(this.id);
    this.#lock.removeAndRelease();
  }

  [Symbol.dispose](): void {
    const status = this.#record?.state.status;
    if (status === "created" || status === "exited") this.#lock.removeAndRelease();
    else this.#lock.release();
  }
}

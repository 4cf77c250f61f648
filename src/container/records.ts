import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { openDirectory } from "../linux/at.ts";
import { FileLock } from "../linux/lock.ts";
import { removeTreeAt } from "../linux/remove-tree.ts";
import { ConflictError, GockerError, InvalidDocumentError, NotFoundError, UsageError } from "../util/errors.ts";
import { type AtomicWriteOptions, writeFileAtomic } from "../util/atomic-file.ts";
import { ClaimedContainer } from "./claim.ts";
import { DamagedRecordError } from "./damaged-record.ts";
import { isContainerId, newContainerId } from "../util/ids.ts";
import { ContainerNames } from "./container-names.ts";
import { parseName } from "./names.ts";
import {
  BrokenDocumentError,
  type ContainerRecord,
  type ContainerState,
  type NewContainer,
  parseRecord,
} from "./record.ts";
import { lostEnd, readState, wasStarted, writeState } from "./state-files.ts";
import { readIfThere } from "../util/read-if-there.ts";

/**
 * The containers of a root directory:
 *
 *     containers/<id>/            container.json, config.json, the writable layer, the files of /etc; running.json
 *                                 and exited.json when it has come that far
 *     containers/names/<name>     a symbolic link whose text is the ID: made in one step, so a name has one owner
 *     containers/active/<id>      a lock, held by who makes, runs or removes the container
 *     containers/.removing-<id>   on its way out
 *
 * A container at rest has no file in `active`. So one readdir of that directory, nearly always empty, tells whether a
 * gocker that died left something behind.
 */
export class ContainerStore {
  readonly #directory: string;
  readonly #names: ContainerNames;
  readonly #assumed = new Map<string, { readonly before: string; readonly now: ContainerState }>();

  private constructor(directory: string) {
    this.#directory = directory;
    this.#names = new ContainerNames(`${directory}/names`, (id) => this.#holdIfGone(id));
  }

  /** @param root gocker's root directory; what is missing is made */
  static open(root: string): ContainerStore {
    const store = new ContainerStore(`${root}/containers`);
    if (!existsSync(store.#active)) {
      mkdirSync(`${root}/containers`, { recursive: true, mode: 0o700 });
      mkdirSync(`${root}/containers/names`, { recursive: true, mode: 0o700 });
      mkdirSync(store.#active, { recursive: true, mode: 0o700 });
    }
    return store;
  }

  get #active(): string {
    return `${this.#directory}/active`;
  }

  /** Where a container's files lie. */
  directory(id: string): string {
    return `${this.#directory}/${id}`;
  }

  /** The file whose lock is held while somebody works on the container. */
  lockPath(id: string): string {
    return `${this.#active}/${id}`;
  }

  /**
   * Makes a container's directory and record under an ID and a name of its own. The caller holds the claim; should it
   * die, the next {@link reconcileContainers} removes what it made.
   * @throws ConflictError the name is taken; UsageError it is no name
   */
  create(details: NewContainer): ClaimedContainer {
    const wanted = details.name === undefined ? undefined : parseName(details.name);
    const { id, lock } = this.#lockNewId();
    const claim = new ClaimedContainer(this, id, lock);
    try {
      const name = wanted === undefined ? this.#names.reserveRandom(id) : this.#names.reserve(wanted, id);
      mkdirSync(this.directory(id), { mode: 0o700 });
      const record: ContainerRecord = {
        ...details,
        version: 1,
        id,
        name,
        created: new Date().toISOString(),
        state: { status: "created" },
      };
      this.write(record);
      claim.adopt(record);
      return claim;
    } catch (error) {
      claim.remove();
      throw error;
    }
  }

  #lockNewId(): { id: string; lock: FileLock } {
    for (;;) {
      const id = newContainerId();
      // Undefined when another gocker is just looking whether the file is a leftover.
      const lock = FileLock.tryAcquire(this.lockPath(id), "exclusive");
      if (lock !== undefined) return { id, lock };
    }
  }

  /**
   * The right to change, run or remove a container that exists.
   * @returns undefined when another process has it: the container runs, or is being made or removed
   * @throws as {@link read}
   */
  claim(id: string): ClaimedContainer | undefined {
    const wasAtRest = !existsSync(this.lockPath(id));
    const lock = FileLock.tryAcquire(this.lockPath(id), "exclusive");
    if (lock === undefined) return undefined;
    try {
      return this.#claimWith(id, lock, wasAtRest);
    } catch (error) {
      // Of one that was not at rest the file in `active` stays: what is left of it is for `reconcileContainers` to remove.
      if (wasAtRest) lock.removeAndRelease();
      else lock.release();
      throw error;
    }
  }

  /**
   * The right to remove a container of which less may be left than a record: the claim has none then.
   * @returns undefined when another process has it
   * @throws NotFoundError nothing is left
   */
  claimForRemoval(id: string): ClaimedContainer | undefined {
    const wasAtRest = !existsSync(this.lockPath(id));
    const lock = FileLock.tryAcquire(this.lockPath(id), "exclusive");
    if (lock === undefined) return undefined;
    const claim = new ClaimedContainer(this, id, lock);
    try {
      claim.adopt(this.#read(id, () => wasAtRest));
    } catch (error) {
      const isThere = existsSync(this.directory(id));
      if (!isThere || !(error instanceof NotFoundError || error instanceof InvalidDocumentError)) {
        if (wasAtRest) lock.removeAndRelease();
        else lock.release();
        throw error;
      }
    }
    return claim;
  }

  /** The claim that another process has handed over with the descriptor of its lock. @throws as {@link claim} */
  inherit(id: string, descriptor: number): ClaimedContainer {
    const lock = FileLock.inherit(this.lockPath(id), descriptor);
    try {
      return this.#claimWith(id, lock, false);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  #claimWith(id: string, lock: FileLock, wasAtRest: boolean): ClaimedContainer {
    const record = this.#read(id, () => wasAtRest);
    const claim = new ClaimedContainer(this, id, lock);
    claim.adopt(record);
    return claim;
  }

  /**
   * Whether a container has no files, and nobody is just making it.
   * @returns what keeps that so until it is disposed of; undefined when it is not so
   */
  #holdIfGone(id: string): Disposable | undefined {
    if (existsSync(this.directory(id))) return undefined;
    const lock = FileLock.tryAcquire(this.lockPath(id), "exclusive");
    if (lock === undefined) return undefined;
    if (!existsSync(this.directory(id))) return { [Symbol.dispose]: () => lock.removeAndRelease() };
    lock.release();
    return undefined;
  }

  /** The ID of the container with exactly this name. */
  holderOf(name: string): string | undefined {
    return this.#names.holderOf(name);
  }

  /** The name of a container, by the names alone; undefined when it has none. */
  nameOf(id: string): string | undefined {
    return this.#names.of(id);
  }

  /** The IDs of all containers, in no order; half-made ones too. */
  ids(): string[] {
    return readdirSync(this.#directory).filter(isContainerId);
  }

  /** The IDs of containers that somebody works on, or worked on when it died. */
  activeIds(): string[] {
    return readdirSync(this.#active).filter(isContainerId);
  }

  /**
   * The record of a container.
   * @throws NotFoundError there is none of that ID, or it is just being made or removed; DamagedRecordError;
   *   InvalidDocumentError it is one of a newer gocker
   */
  read(id: string): ContainerRecord {
    return this.#read(id, () => !existsSync(this.lockPath(id)));
  }

  /** @param isAtRest whether nobody works on it, or did when it died: but for who reads, who may have its lock */
  #read(id: string, isAtRest: () => boolean): ContainerRecord {
    const path = `${this.directory(id)}/container.json`;
    try {
      const text = readIfThere(path) || this.#readAgain(id, path, isAtRest);
      return { ...parseRecord(text, path), state: this.#assumedState(id, this.#readState(id, isAtRest)) };
    } catch (error) {
      if (!(error instanceof BrokenDocumentError)) throw error;
      throw new DamagedRecordError(id, error.message, error.cause);
    }
  }

  /**
   * Records are not forced to the disk, so a power cut can leave none, or an empty one, of a container that had just
   * begun. Whatever was started, or is at rest, had one.
   */
  #readAgain(id: string, path: string, isAtRest: () => boolean): string {
    const wasWhole = isAtRest() || wasStarted(this.directory(id));
    if (!wasWhole || !existsSync(this.directory(id))) throw noSuchContainer(id);
    // Whoever made it may have been done between the two looks.
    const text = readIfThere(path);
    if (text !== undefined && text !== "") return text;
    // Or removed it.
    if (!existsSync(this.directory(id))) throw noSuchContainer(id);
    throw new BrokenDocumentError(`${path} ${text === undefined ? "is missing" : "is empty"}`);
  }

  /** What runs has a file in `active`: when it has none, the power failed before its end was on the disk. */
  #readState(id: string, isAtRest: () => boolean): ContainerState {
    const directory = this.directory(id);
    const state = readState(directory);
    const saysItRuns = ({ status }: ContainerState) => status === "running" || status === "restarting";
    if (!saysItRuns(state) || !isAtRest()) return state;
    // It may have ended between the two looks, or been started again.
    const now = readState(directory);
    return saysItRuns(now) && isAtRest() ? lostEnd(directory, now) : now;
  }

  /**
   * What became of a container is known, and cannot be written down: {@link read} tells it here all the same.
   * @param before what the disk says: should that change, it counts
   */
  assume(id: string, before: ContainerState, now: ContainerState): void {
    this.#assumed.set(id, { before: JSON.stringify(before), now });
  }

  #assumedState(id: string, found: ContainerState): ContainerState {
    const assumed = this.#assumed.get(id);
    return assumed?.before === JSON.stringify(found) ? assumed.now : found;
  }

  /**
   * The records of all containers, the newest first.
   * @param onBroken told of containers whose record cannot be read; they are left out
   */
  list(onBroken: (id: string, error: GockerError) => void = () => {}): ContainerRecord[] {
    const records: ContainerRecord[] = [];
    for (const id of this.ids()) {
      try {
        records.push(this.read(id));
      } catch (error) {
        // Not found: removed meanwhile, or not whole yet.
        if (error instanceof NotFoundError) continue;
        if (!(error instanceof GockerError)) throw error;
        onBroken(id, error);
      }
    }
    return records.sort((a, b) => (a.created < b.created ? 1 : -1));
  }

  /**
   * The ID of the container that a user means: a whole ID, a name, or the beginning of an ID that only one has.
   * @throws NotFoundError none; UsageError more than one
   */
  resolve(reference: string): string {
    const text = reference.startsWith("/") ? reference.slice(1) : reference;
    if (isContainerId(text) && existsSync(this.directory(text))) return text;
    if (/^[a-zA-Z0-9_.-]{2,255}$/.test(text) && !text.startsWith(".")) {
      const holder = this.holderOf(text);
      if (holder !== undefined && existsSync(this.directory(holder))) return holder;
    }
    const matches = /^[0-9a-f]{1,64}$/.test(text) ? this.ids().filter((id) => id.startsWith(text)) : [];
    const [first] = matches;
    if (first === undefined) throw noSuchContainer(reference);
    if (matches.length > 1) {
      throw new UsageError(`${matches.length} containers have an ID that begins with ${text}`, {
        hint: `give more digits: ${matches.map((id) => id.slice(0, Math.max(12, text.length + 1))).join(", ")}`,
      });
    }
    return first;
  }

  /**
   * Removes a container's directory and names. Only for the holder of its lock, who removes the lock's file after
   * that. Can be done again when it was interrupted.
   */
  removeFiles(id: string): void {
    using directory = openDirectory(this.#directory);
    const leaving = `.removing-${id}`;
    try {
      renameSync(this.directory(id), `${this.#directory}/${leaving}`);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOTEMPTY" || code === "EEXIST") removeTreeAt(directory.number, id);
      else if (code !== "ENOENT") throw error;
    }
    // Read here, where nobody can give it another one any more.
    const name = nameIn(`${this.#directory}/${leaving}/container.json`);
    for (const candidate of name === undefined ? this.#names.all() : [name]) this.#names.release(candidate, id);
    removeTreeAt(directory.number, leaving);
  }

  /**
   * Gives a container another name, whether or not it runs.
   * @returns its record with that name, and the name that it had
   * @throws ConflictError the name is taken, or its own already; UsageError it is no name; NotFoundError the container is
   *   gone
   */
  async rename(id: string, wanted: string): Promise<{ readonly record: ContainerRecord; readonly oldName: string }> {
    const name = parseName(wanted);
    if (this.read(id).name === name) throw new ConflictError(`the container has the name ${name} already`);
    // It may have it without knowing: from a gocker that was killed here.
    if (this.holderOf(name) !== id) this.#names.reserve(name, id);
    let oldName = name;
    try {
      const record = await this.update(id, (before) => {
        oldName = before.name;
        return { ...before, name };
      });
      // Who removed it meanwhile may have read the old name before.
      if (!existsSync(this.directory(id))) throw noSuchContainer(id);
      if (oldName !== name) this.#names.release(oldName, id);
      return { record, oldName };
    } catch (error) {
      this.#names.release(name, id);
      throw error;
    }
  }

  /**
   * Changes the record of a container that somebody else may be running. Changes exclude each other by a lock of their
   * own, as the container's lock is held for as long as it runs.
   * @returns the record as it is now
   * @throws NotFoundError there is no such container, or no more
   */
  async update(id: string, change: (record: ContainerRecord) => ContainerRecord): Promise<ContainerRecord> {
    const path = `${this.directory(id)}/${recordLock}`;
    try {
      using _lock = await FileLock.acquire(path, "exclusive");
      const record = change(this.read(id));
      // The one before is on the disk, and must not be exchanged for one that is not. ext4 sees to that, others do not.
      this.write(record, { durable: true });
      return record;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") throw noSuchContainer(id);
      throw error;
    }
  }

  /**
   * Whether its user has had the container stopped since it was started: no restart policy starts it again then, and
   * after a boot `unless-stopped` does not either.
   */
  wasStopped(id: string): boolean {
    return existsSync(`${this.directory(id)}/${stopMark}`);
  }

  /** Notes that before the container is told; for anybody. @throws NotFoundError the container is gone */
  markStopped(id: string): void {
    this.#mark(id, stopMark);
  }

  /** Whether a container stays after its end although it was run with `--rm`, because somebody is about to start it again. */
  isKept(id: string): boolean {
    return existsSync(`${this.directory(id)}/${keepMark}`);
  }

  /** Notes that before the container is told; for anybody. @throws NotFoundError the container is gone */
  markKept(id: string): void {
    this.#mark(id, keepMark);
  }

  #mark(id: string, name: string): void {
    try {
      writeFileSync(`${this.directory(id)}/${name}`, "");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") throw noSuchContainer(id);
      throw error;
    }
  }

  /** What was noted for its end. Only for the holder of its lock, who starts it. */
  clearMarks(id: string): void {
    for (const name of [stopMark, keepMark]) rmSync(`${this.directory(id)}/${name}`, { force: true });
  }

  /**
   * Writes a container's record apart from its state; for a new one, and for {@link update}. That of a new one is not
   * forced to the disk: it costs one millisecond on a disk at rest, and a hundred beside a pull, while the kernel writes
   * it by itself within half a minute. What a loss of power takes before that is a container that has hardly begun; it is
   * told and can be removed.
   */
  write({ state: _state, ...record }: ContainerRecord, options: Pick<AtomicWriteOptions, "durable"> = {}): void {
    writeFileAtomic(`${this.directory(record.id)}/container.json`, `${JSON.stringify(record)}\n`, options);
  }

  /** Writes where a container is in its life; only for the holder of its lock. */
  writeState(id: string, state: ContainerState): void {
    writeState(this.directory(id), state);
  }
}

const recordLock = "record.lock";
const stopMark = "stopped";
const keepMark = "kept";

/** The name in a record; undefined when there is none that can be read. */
function nameIn(path: string): string | undefined {
  try {
    return parseRecord(readIfThere(path) ?? "", path).name;
  } catch (error) {
    if (error instanceof InvalidDocumentError) return undefined;
    throw error;
  }
}

function noSuchContainer(reference: string): NotFoundError {
  return new NotFoundError(`no such container: ${reference}`, { hint: "`gocker ps -a` lists the containers" });
}

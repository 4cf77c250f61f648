import { existsSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { type ByteString, namesIn, openDirectory, tryOpenAt } from "../linux/at.ts";
import { O_DIRECTORY, O_RDONLY } from "../linux/constants.ts";
import { FileLock, isHeld } from "../linux/lock.ts";
import { removeTreeAt } from "../linux/remove-tree.ts";
import { ConflictError, GockerError, NotFoundError } from "../util/errors.ts";
import type { FileOwner } from "./adjust-mounts.ts";
import { newContainerId, shortId } from "../util/ids.ts";
import type { LayeredRoot } from "./layered-root.ts";
import { makeVolume, type NewVolume } from "./make-volume.ts";
import { parseName } from "./names.ts";
import type { MountableVolume } from "./volume-mount.ts";
import { volumeSource } from "./volume-options.ts";
import { readVolumeRecord, type VolumeRecord } from "./volume-record.ts";
import type { MountedVolume, VolumeRequest } from "./volume-requests.ts";

/** The IDs of the containers whose records name a volume. */
export type VolumeUsers = (name: string) => readonly string[];

/** For whom volumes are prepared. */
export interface PreparationInput {
  /** The container's ID: whoever prepares them has its lock. */
  readonly container: string;
  readonly image: LayeredRoot;
  /** Of the container's process: volumes may be given to it. */
  readonly owner: FileOwner;
}

/** What has happened to a volume, by Docker's words for it. */
export type VolumeListener = (name: string, action: "create" | "destroy") => void;

/**
 * The volumes of a root directory:
 *
 *     volumes/<name>/_data        what containers mount
 *     volumes/<name>/volume.json
 *     volumes/<name>/lock         to fill it, to mount what its options ask for, and to unmount that
 *     volumes/<name>/users/<id>   a container for which that is mounted: see `mountVolume`
 *     volumes/<name>/.filling     what an image has at the volume's place, while it is copied
 *     volumes/<name>/.filled      the same, whole, while its parts move into _data
 *     volumes/.lock               shared: to make and fill volumes; exclusive: to remove one
 *     volumes/.removing-<id>      on its way out
 *
 * A volume is in use as long as a container's record names it. The record is written before the volume is looked for, and
 * who removes one looks at the records while nobody can be looking for volumes.
 */
export class VolumeStore {
  readonly #root: string;
  readonly #directory: string;
  readonly #onChange: VolumeListener;

  private constructor(root: string, onChange: VolumeListener) {
    this.#root = root;
    this.#directory = `${root}/volumes`;
    this.#onChange = onChange;
  }

  /**
   * @param root gocker's root directory; nothing is made before it is needed
   * @param onChange told of each volume that is made and removed
   */
  static open(root: string, onChange: VolumeListener = () => {}): VolumeStore {
    return new VolumeStore(root, onChange);
  }

  /** The directory that containers mount. */
  dataPath(name: string): string {
    return `${this.#place(name)}/_data`;
  }

  #place(name: string): string {
    return `${this.#directory}/${name}`;
  }

  get #lockPath(): string {
    return `${this.#directory}/.lock`;
  }

  #lock(mode: "shared" | "exclusive", signal: AbortSignal | undefined): Promise<FileLock> {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    return FileLock.acquire(this.#lockPath, mode, { signal });
  }

  /**
   * Makes a volume. One that has the name already is left as it is, as Docker does.
   * @throws UsageError the name or the options are none; SystemCallError
   */
  async create(volume: NewVolume, signal?: AbortSignal): Promise<VolumeRecord> {
    const name = parseName(volume.name, "volume");
    volumeSource(volume.options);
    using _lock = await this.#lock("shared", signal);
    this.#make({ ...volume, name }, true);
    return this.read(name);
  }

  /**
   * Makes the volumes that a container asks for, where they do not exist, fills empty ones with what the image has at
   * their places, and does to them what else the requests say. The container's record must name the volumes before: that
   * is what keeps {@link remove} away.
   * @throws NotFoundError one that must exist does not; UsageError the driver's options are none; SystemCallError
   */
  async prepare(
    requests: readonly VolumeRequest[],
    of: PreparationInput,
    signal?: AbortSignal,
  ): Promise<MountedVolume[]> {
    if (requests.length === 0) return [];
    using _lock = await this.#lock("shared", signal);
    const mounted: MountedVolume[] = [];
    for (const request of requests) {
      const { name, anonymous, target, readOnly, subpath, labels = {}, driverOptions: options } = request;
      volumeSource(options);
      if (request.mustExist !== true) {
        const volume = { name, anonymous, labels, ...(options !== undefined && { options }) };
        // Without its options a volume would take, after a loss of power, what is meant for another file system.
        this.#make(volume, options !== undefined);
      }
      await this.#ready(request, of, signal);
      const data = this.dataPath(name);
      mounted.push({ name, anonymous, source: subpath === undefined ? data : `${data}/${subpath}`, target, readOnly });
    }
    return mounted;
  }

  #make(volume: NewVolume, durable: boolean): void {
    if (makeVolume(this.#directory, volume, { durable })) this.#onChange(volume.name, "create");
  }

  async #ready(
    request: VolumeRequest,
    { container, image, owner }: PreparationInput,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { name, target, noCopy, adjust, subpath } = request;
    const place = this.#place(name);
    const source = volumeSource(this.read(name).options);
    const fills = !noCopy && subpath === undefined && source?.isVolatile !== true;
    if (!fills && adjust === undefined) return;
    await using _mounted = await this.use([name], container);
    if (fills) {
      const { fillVolume } = await import("./volume-fill.ts");
      await fillVolume({ place, isMounted: source !== undefined }, image, target, signal);
    }
    if (adjust !== undefined) {
      const { adjustVolume } = await import("./adjust-mounts.ts");
      adjustVolume(this.dataPath(name), subpath, adjust, owner);
    }
  }

  /**
   * Mounts what volumes' options ask for, until {@link unmount}: before a container is started, by who has its lock. It
   * may be done again.
   * @param names of volumes; those without options are passed over
   * @throws NotFoundError a volume is not there; GockerError it cannot be mounted: then none of them is for the container
   */
  async mount(names: readonly string[], container: string): Promise<void> {
    await using undo = new AsyncDisposableStack();
    undo.defer(() => this.unmount(names, container));
    for (const name of new Set(names)) {
      const source = volumeSource(this.read(name).options);
      if (source === undefined) continue;
      const { mountVolume } = await import("./volume-mount.ts");
      await mountVolume(this.#mountable(name), name, source, container);
    }
    undo.move();
  }

  /** Unmounts volumes that a container does not use any more, unless others do. That they are not mounted is no error. */
  async unmount(names: readonly string[], container: string): Promise<void> {
    await using all = new AsyncDisposableStack();
    for (const name of new Set(names)) all.defer(async () => void (await this.#isUnmounted(name, container)));
  }

  /** As {@link mount}; {@link unmount} by disposing. */
  async use(names: readonly string[], container: string): Promise<AsyncDisposable> {
    await this.mount(names, container);
    return { [Symbol.asyncDispose]: () => this.unmount(names, container) };
  }

  /** Unmounts what is in a volume, unless somebody uses it. */
  async #isUnmounted(name: string, container?: string): Promise<boolean> {
    const record = readVolumeRecord(this.#place(name), name);
    if (record?.options === undefined) return true;
    const { unmountVolume } = await import("./volume-mount.ts");
    return unmountVolume(this.#mountable(name), container);
  }

  #mountable(name: string): MountableVolume {
    return { place: this.#place(name), isAlive: (id) => isHeld(`${this.#root}/containers/active/${id}`) };
  }

  /** The record of a volume. @throws NotFoundError; InvalidDocumentError its record cannot be read */
  read(name: string): VolumeRecord {
    const record = readVolumeRecord(this.#place(parseName(name, "volume")), name);
    if (record === undefined) {
      throw new NotFoundError(`no such volume: ${name}`, { hint: "`gocker volume ls` lists the volumes" });
    }
    return record;
  }

  /**
   * The records of all volumes, by name.
   * @param onBroken told of volumes whose record cannot be read; they are left out
   */
  list(onBroken: (name: string, error: GockerError) => void = () => {}): VolumeRecord[] {
    if (!existsSync(this.#directory)) return [];
    const records: VolumeRecord[] = [];
    for (const entry of readdirSync(this.#directory, { withFileTypes: true })) {
      if (!entry.isDirectory() || entry.name.startsWith(".")) continue;
      try {
        records.push(this.read(entry.name));
      } catch (error) {
        // Removed meanwhile.
        if (error instanceof NotFoundError) continue;
        if (!(error instanceof GockerError)) throw error;
        onBroken(entry.name, error);
      }
    }
    return records.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * Removes a volume with its content.
   * @param usersOf asked while nobody can begin to use it
   * @returns whether it was there
   * @throws ConflictError a container has the volume
   */
  async remove(name: string, usersOf: VolumeUsers, signal?: AbortSignal): Promise<boolean> {
    if (!existsSync(this.#place(parseName(name, "volume")))) return false;
    const { taken, used } = await this.#takeAway([name], usersOf, signal);
    for (const users of used.values()) throw inUse(name, users);
    for (const { leaving } of taken) await this.#removeLeaving(leaving, signal);
    return taken.length > 0;
  }

  /**
   * Removes those of the volumes that no container has.
   * @param names those that others remove meanwhile are passed over
   * @param usersOf asked while nobody can begin to use one
   * @param onRemoved told of each that is gone, and what its files took in bytes
   */
  async removeUnused(
    names: readonly string[],
    usersOf: VolumeUsers,
    onRemoved: (name: string, size: number) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    if (names.length === 0) return;
    const { taken } = await this.#takeAway(names, usersOf, signal);
    for (const { name, leaving } of taken) onRemoved(name, await this.#removeLeaving(leaving, signal));
  }

  /** Takes unused volumes out of sight, in one step each. */
  async #takeAway(
    names: readonly string[],
    usersOf: VolumeUsers,
    signal: AbortSignal | undefined,
  ): Promise<{
    readonly taken: readonly { readonly name: string; readonly leaving: ByteString }[];
    readonly used: ReadonlyMap<string, readonly string[]>;
  }> {
    using _lock = await this.#lock("exclusive", signal);
    const taken: { readonly name: string; readonly leaving: ByteString }[] = [];
    const used = new Map<string, readonly string[]>();
    for (const name of names) {
      const place = this.#place(name);
      if (!existsSync(place)) continue;
      const users = usersOf(name);
      // What is mounted there is not the volume's to remove.
      if (users.length > 0 || !(await this.#isUnmounted(name))) used.set(name, users);
      else {
        const leaving = `.removing-${newContainerId()}`;
        renameSync(place, `${this.#directory}/${leaving}`);
        taken.push({ name, leaving });
        this.#onChange(name, "destroy");
      }
    }
    return { taken, used };
  }

  /**
   * Not under the exclusive lock, as it may take long; the shared one keeps {@link sweep} from doing it too.
   * @returns what the volume's files took; in bytes
   */
  async #removeLeaving(leaving: ByteString, signal: AbortSignal | undefined): Promise<number> {
    using _lock = await this.#lock("shared", signal);
    using parent = openDirectory(this.#directory);
    const freed = { bytes: 0 };
    {
      using volume = tryOpenAt(parent.number, leaving, O_RDONLY | O_DIRECTORY);
      // Between the two locks somebody may have swept it away.
      if (volume === undefined) return 0;
      removeTreeAt(volume.number, "_data", freed);
    }
    removeTreeAt(parent.number, leaving);
    return freed.bytes;
  }

  /** Removes what killed gockers left half-made or half-removed. Does nothing while others work on volumes. */
  sweep(): void {
    if (!existsSync(this.#directory)) return;
    using lock = FileLock.tryAcquire(this.#lockPath, "exclusive");
    if (lock === undefined) return;
    using parent = openDirectory(this.#directory);
    for (const name of namesIn(parent.number)) {
      if (name.startsWith(".new-") || name.startsWith(".removing-")) removeTreeAt(parent.number, name);
    }
  }
}

function inUse(name: string, users: readonly string[]): ConflictError {
  const by = users.length === 0 ? "" : ` by ${users.map(shortId).join(", ")}`;
  return new ConflictError(`volume ${name} is in use${by}`, { hint: "remove the container first: gocker rm" });
}

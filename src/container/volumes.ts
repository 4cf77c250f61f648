import { existsSync, fstatSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { type ByteString, moveAt, namesIn, openAt, openDirectory } from "../linux/at.ts";
import { O_DIRECTORY, O_RDONLY } from "../linux/constants.ts";
import { errnos, systemCallError } from "../linux/errno.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { FileLock } from "../linux/lock.ts";
import { removeTreeAt } from "../linux/remove-tree.ts";
import { writeFileAtomic } from "../util/atomic-file.ts";
import { ConflictError, InvalidDocumentError, NotFoundError } from "../util/errors.ts";
import { copyAttributes } from "../linux/copy-attributes.ts";
import { newContainerId } from "./ids.ts";
import type { LayeredDirectory, LayeredRoot } from "./layered-root.ts";
import { parseName } from "./names.ts";
import type { MountedVolume, VolumeRequest } from "./volume-requests.ts";

/** What gocker remembers of a volume: `volume.json` in its directory. */
export interface VolumeRecord {
  readonly version: 1;
  readonly name: string;
  /** Made for one container, and removed with it when it was started with `--rm`. */
  readonly anonymous: boolean;
  /** RFC 3339. */
  readonly created: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * The volumes of a root directory:
 *
 *     volumes/<name>/_data        what containers mount
 *     volumes/<name>/volume.json
 *     volumes/<name>/.filling     what an image has at the volume's place, while it is copied
 *     volumes/<name>/.filled      the same, whole, while its parts move into _data
 *     volumes/lock                shared: to make and fill volumes; exclusive: to remove one
 */
export class VolumeStore {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** @param root gocker's root directory; nothing is made before it is needed */
  static open(root: string): VolumeStore {
    return new VolumeStore(`${root}/volumes`);
  }

  /** The directory that containers mount. */
  dataPath(name: string): string {
    return `${this.#directory}/${name}/_data`;
  }

  /**
   * Makes the volumes that a container asks for, where they do not exist, and fills empty ones with what the image has
   * at their places. The container's record must name the volumes before: that is what keeps {@link remove} away.
   * @param names of the volumes, in the order of `requests`: see {@link nameVolumes}
   * @throws UsageError a name is none; SystemCallError
   */
  async prepare(
    requests: readonly VolumeRequest[],
    names: readonly string[],
    image: LayeredRoot,
    signal?: AbortSignal,
  ): Promise<MountedVolume[]> {
    if (requests.length === 0) return [];
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    using _lock = await FileLock.acquire(this.#lockPath, "shared", { signal });
    const mounted: MountedVolume[] = [];
    for (const [index, request] of requests.entries()) {
      const name = names[index] as string;
      const anonymous = request.name === undefined;
      this.#makeIfMissing(name, anonymous);
      if (!request.noCopy) await this.#fill(name, image, request.target, signal);
      const { target, readOnly } = request;
      mounted.push({ name, anonymous, source: this.dataPath(name), target, readOnly });
    }
    return mounted;
  }

  get #lockPath(): string {
    return `${this.#directory}/lock`;
  }

  #makeIfMissing(name: string, anonymous: boolean): void {
    const place = `${this.#directory}/${name}`;
    if (existsSync(place)) return;
    const temporary = `.new-${newContainerId()}`;
    const made = `${this.#directory}/${temporary}`;
    mkdirSync(made, { mode: 0o700 });
    try {
      mkdirSync(`${made}/_data`, { mode: 0o755 });
      const record: VolumeRecord = { version: 1, name, anonymous, created: new Date().toISOString(), labels: {} };
      writeFileAtomic(`${made}/volume.json`, `${JSON.stringify(record)}\n`);
      renameSync(made, place);
    } catch (error) {
      using parent = openDirectory(this.#directory);
      removeTreeAt(parent.number, temporary);
      // Somebody else was faster: the volume is there.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EEXIST" && code !== "ENOTEMPTY") throw error;
    }
  }

  /**
   * Fills an empty volume. The copy is made beside `_data` and moved there name by name when it is whole, so that a
   * crash leaves a volume that is still empty, or one that the next use completes.
   */
  async #fill(name: string, image: LayeredRoot, target: string, signal: AbortSignal | undefined): Promise<void> {
    const place = `${this.#directory}/${name}`;
    using _lock = await FileLock.acquire(`${place}/lock`, "exclusive", { signal });
    using volume = openDirectory(place);
    using data = openAt(volume.number, "_data", O_RDONLY | O_DIRECTORY);
    if (existsSync(`${place}/.filled`)) return moveFilled(volume.number, data);
    if (namesIn(data.number).length > 0) return;

    using source = image.resolve(target);
    if (source?.kind !== "directory") return;
    await copyBeside(volume.number, source);
    renameSync(`${place}/.filling`, `${place}/.filled`);
    moveFilled(volume.number, data);
  }

  /** The record of a volume. @throws NotFoundError; InvalidDocumentError its record cannot be read */
  read(name: string): VolumeRecord {
    const path = `${this.#directory}/${parseName(name, "volume")}/volume.json`;
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      throw new NotFoundError(`no such volume: ${name}`);
    }
    try {
      return JSON.parse(text) as VolumeRecord;
    } catch (error) {
      throw new InvalidDocumentError(`${path} is no JSON document`, { cause: error });
    }
  }

  /** The records of all volumes, by name. */
  list(): VolumeRecord[] {
    if (!existsSync(this.#directory)) return [];
    const records: VolumeRecord[] = [];
    for (const entry of readdirSync(this.#directory, { withFileTypes: true })) {
      if (!entry.isDirectory() || entry.name.startsWith(".")) continue;
      try {
        records.push(this.read(entry.name));
      } catch (error) {
        // Removed meanwhile.
        if (!(error instanceof NotFoundError)) throw error;
      }
    }
    return records.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * Removes a volume with its content. That it does not exist is no error.
   * @param usersOf the IDs of the containers whose records name the volume; asked while nobody can begin to use it
   * @throws ConflictError a container has the volume
   */
  async remove(name: string, usersOf: (name: string) => readonly string[], signal?: AbortSignal): Promise<void> {
    const place = `${this.#directory}/${parseName(name, "volume")}`;
    if (!existsSync(place)) return;
    const leaving = `.removing-${name}-${newContainerId()}`;
    {
      using _lock = await FileLock.acquire(this.#lockPath, "exclusive", { signal });
      const users = usersOf(name);
      if (users.length > 0) {
        throw new ConflictError(`volume ${name} is in use by ${users.map((id) => id.slice(0, 12)).join(", ")}`, {
          hint: "remove the container first: gocker rm",
        });
      }
      if (!existsSync(place)) return;
      renameSync(place, `${this.#directory}/${leaving}`);
    }
    await this.#removeLeaving(leaving, signal);
  }

  /** Not under the exclusive lock, as it may take long; the shared one keeps {@link sweep} from doing it too. */
  async #removeLeaving(leaving: ByteString, signal: AbortSignal | undefined): Promise<void> {
    using _lock = await FileLock.acquire(this.#lockPath, "shared", { signal });
    using parent = openDirectory(this.#directory);
    removeTreeAt(parent.number, leaving);
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

/** The names of the volumes of a container: the user's, and new ones of 64 digits for anonymous volumes. */
export function nameVolumes(requests: readonly VolumeRequest[]): string[] {
  return requests.map(({ name }) => (name === undefined ? newContainerId() : parseName(name, "volume")));
}

async function copyBeside(volume: number, source: LayeredDirectory): Promise<void> {
  const { copyTree } = await import("../linux/copy-tree.ts");
  removeTreeAt(volume, filling);
  mkdirSync(`/proc/self/fd/${volume}/${filling}`, { mode: 0o700 });
  using copy = openAt(volume, filling, O_RDONLY | O_DIRECTORY);
  copyTree(source, copy);
}

const filling: ByteString = ".filling";
const filled: ByteString = ".filled";

/**
 * Moves what was copied into the volume. What a container that has the volume already made there meanwhile stays; so
 * does what was moved before a crash.
 */
function moveFilled(volume: number, data: OwnedFd): void {
  using copy = openAt(volume, filled, O_RDONLY | O_DIRECTORY);
  const model = fstatSync(copy.number, { bigint: true });
  for (const name of namesIn(copy.number)) {
    const result = moveAt(copy.number, name, data.number, name);
    if (result !== 0 && result !== errnos.EEXIST) {
      throw systemCallError("renameat2", { step: "fill the volume" }, result);
    }
  }
  copyAttributes(copy, model, data);
  removeTreeAt(volume, filled);
}

import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { FileLock } from "../linux/lock.ts";
import { ConflictError, NotFoundError, UsageError } from "../util/errors.ts";
import { RuntimeContainer } from "./runtime-container.ts";

const idPattern = /^[\w+.-]+$/;

/**
 * The ID of a container, which is the name of its directory too.
 * @throws UsageError it has other characters than runc takes, or is `.` or `..`
 */
export function parseContainerId(text: string): string {
  if (idPattern.test(text) && text !== "." && text !== ".." && text.length <= 255) return text;
  throw new UsageError(`invalid container ID ${JSON.stringify(text)}`, {
    hint: "an ID has letters, digits, _, +, - and ., and at most 255 characters",
  });
}

/**
 * The containers of a runtime's root directory (`--root`):
 *
 *     <id>/lock          held by the call that changes the container
 *     <id>/state.json    ContainerState
 *     <id>/config.json   the specification as it was when the container was created
 *     <id>/exec.fifo    as long as the container waits to be started
 */
export class StateStore {
  readonly root: string;

  /** @param root absolute; made when the first container is */
  constructor(root: string) {
    this.root = root;
  }

  /**
   * Takes an ID for a new container. Disposing of the result releases the lock; {@link RuntimeContainer.forget} gives the
   * ID back.
   * @throws ConflictError there is a container of that ID; UsageError it is no ID
   */
  reserve(id: string): RuntimeContainer {
    const directory = `${this.root}/${parseContainerId(id)}`;
    mkdirSync(this.root, { recursive: true, mode: 0o711 });
    for (;;) {
      const isNew = makeDirectory(directory);
      if (!isNew && !isAbandoned(directory)) throw exists(id, directory);
      const lock = tryLock(directory);
      if (lock === "gone") continue;
      if (lock === undefined) throw new ConflictError(`the container ${id} is being changed by another process`);
      const container = new RuntimeContainer(directory, id, lock);
      if (!existsSync(`${directory}/state.json`)) {
        if (!isNew) container.clear();
        return container;
      }
      container[Symbol.dispose]();
    }
  }

  /**
   * Removes what a call that was killed has left of an ID: a directory that has no state, so that no container is found
   * there. Another call that is at work in it, or makes a container meanwhile, is left alone.
   * @throws UsageError it is no ID
   */
  sweep(id: string): void {
    const directory = `${this.root}/${parseContainerId(id)}`;
    if (!existsSync(directory) || !isAbandoned(directory)) return;
    const lock = tryLock(directory);
    if (lock === undefined || lock === "gone") return;
    using container = new RuntimeContainer(directory, id, lock);
    if (isAbandoned(directory)) container.forget();
  }

  /**
   * A container, to look at.
   * @throws NotFoundError there is none of that ID; InvalidDocumentError its state cannot be read
   */
  open(id: string): RuntimeContainer {
    const container = new RuntimeContainer(`${this.root}/${parseContainerId(id)}`, id, undefined);
    container.readState();
    return container;
  }

  /** A container, to change: waits until no other call changes it. @throws as {@link open} */
  async lock(id: string): Promise<RuntimeContainer> {
    const directory = `${this.root}/${parseContainerId(id)}`;
    this.open(id);
    const lock = await lockOf(directory, id);
    const container = new RuntimeContainer(directory, id, lock);
    try {
      container.readState();
      return container;
    } catch (error) {
      container[Symbol.dispose]();
      throw error;
    }
  }

  /** The IDs of all containers whose state can be read, sorted. @throws NotFoundError there is no such root directory */
  ids(): string[] {
    if (!existsSync(this.root)) throw new NotFoundError(`the root directory ${this.root} does not exist`);
    return readdirSync(this.root)
      .filter((name) => existsSync(`${this.root}/${name}/state.json`))
      .sort();
  }
}

/** @returns false when it is there already */
function makeDirectory(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o711 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return false;
  }
}

/** What there may be besides a state: `writeFileAtomic` begins with files of the last form. */
const withoutState = /^(?:lock|config\.json|exec\.fifo|\..+\.new)$/;

/**
 * Whether a directory belongs to nobody: there is no state in it, as whoever made it was killed or is about to remove it,
 * and nothing that is not gocker's, whose root directory may be another runtime's too.
 */
function isAbandoned(directory: string): boolean {
  try {
    const names = readdirSync(directory);
    return names.length === 0 || (names.includes("lock") && names.every((name) => withoutState.test(name)));
  } catch (error) {
    if (isMissing(error)) return true;
    throw error;
  }
}

function exists(id: string, directory: string): ConflictError {
  return new ConflictError(`a container with the ID ${id} exists already`, {
    hint: `delete it first, or use another ID (its state is in ${directory})`,
  });
}

/** @returns undefined when somebody else holds the lock */
function tryLock(directory: string): FileLock | "gone" | undefined {
  try {
    return FileLock.tryAcquire(`${directory}/lock`, "exclusive");
  } catch (error) {
    if (isMissing(error)) return "gone";
    throw error;
  }
}

/** Waits for the lock of a container that exists, without making anything where it is being deleted. */
async function lockOf(directory: string, id: string): Promise<FileLock> {
  try {
    return await FileLock.acquire(`${directory}/lock`, "exclusive", { file: "there" });
  } catch (error) {
    if (isMissing(error)) throw new NotFoundError(`the container ${id} does not exist`, { cause: error });
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}

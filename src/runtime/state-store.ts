import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { FileLock } from "../linux/lock.ts";
import { openPidfd, sendSignal } from "../linux/process.ts";
import { OwnedFd } from "../linux/fd.ts";
import { processState } from "../linux/process-state.ts";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import { parseRuntimeSpec } from "../oci/runtime-spec-parse.ts";
import { writeFileAtomic } from "../util/atomic-file.ts";
import { ConflictError, GockerError, InvalidDocumentError, NotFoundError, UsageError } from "../util/errors.ts";
import { readIfThere } from "../util/read-if-there.ts";
import type { Cgroup } from "./cgroup/cgroup.ts";
import { openCgroup } from "./cgroup/open.ts";

/** The states of a container. OCI runtime specification, runtime.md, "State"; `paused` is runc's and Docker's. */
export type ContainerStatus = "creating" | "created" | "running" | "paused" | "stopped";

/** What is kept of a container between two calls of the runtime. */
export interface ContainerState {
  readonly version: 1;
  readonly ociVersion: string;
  readonly id: string;
  /** Absolute. */
  readonly bundle: string;
  /** Absolute: the root directory of the specification, as the host names it. */
  readonly rootfs: string;
  /** Of the container's first process, as the caller's pid namespace numbers it; 0 until there is one. */
  readonly pid: number;
  /** With `pid` it names the process for good. */
  readonly pidStartTime: number;
  /** RFC 3339, UTC. */
  readonly created: string;
  /** The user who made it: a number. */
  readonly owner: number;
  /** As {@link openCgroup} takes it. */
  readonly cgroupsPath: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A container is not in the state that a command needs. */
export class ContainerStateError extends GockerError {
  override readonly name = "ContainerStateError";
  readonly status: ContainerStatus;

  constructor(id: string, status: ContainerStatus, reason: string) {
    super("CONTAINER_STATE", `the container ${id} is ${status}: ${reason}`);
    this.status = status;
  }
}

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
    try {
      mkdirSync(directory, { mode: 0o711 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      throw new ConflictError(`a container with the ID ${id} exists already`, {
        hint: `delete it first, or use another ID (its state is in ${directory})`,
      });
    }
    const lock = FileLock.tryAcquire(`${directory}/lock`, "exclusive");
    if (lock === undefined) throw new ConflictError(`the container ${id} is being changed by another process`);
    return new RuntimeContainer(directory, id, lock);
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
    // Looking first: taking the lock of a container that does not exist would make a file.
    this.open(id);
    const lock = await FileLock.acquire(`${directory}/lock`, "exclusive");
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

/** One container of a {@link StateStore}. */
export class RuntimeContainer implements Disposable {
  readonly directory: string;
  readonly id: string;
  readonly #lock: FileLock | undefined;
  #state: ContainerState | undefined;
  #spec: RuntimeSpec | undefined;

  /** For {@link StateStore}, which makes these. */
  constructor(directory: string, id: string, lock: FileLock | undefined) {
    this.directory = directory;
    this.id = id;
    this.#lock = lock;
  }

  /** The file whose writing end starts the container. */
  get startFifo(): string {
    return `${this.directory}/exec.fifo`;
  }

  /** @throws NotFoundError, InvalidDocumentError */
  readState(): ContainerState {
    const text = readIfThere(`${this.directory}/state.json`);
    if (text === undefined) throw new NotFoundError(`the container ${this.id} does not exist`);
    this.#state = parseState(text, `${this.directory}/state.json`);
    return this.#state;
  }

  get state(): ContainerState {
    return this.#state ?? this.readState();
  }

  /** Keeps what is known of the container from now on. */
  writeState(state: ContainerState): void {
    writeFileAtomic(`${this.directory}/state.json`, JSON.stringify(state));
    this.#state = state;
  }

  /**
   * Keeps the specification: what the bundle says later does not count. runtime.md, "Lifecycle"
   * @param spec what was read of it
   */
  writeSpec(text: string, spec: RuntimeSpec): void {
    writeFileAtomic(`${this.directory}/config.json`, text);
    this.#spec = spec;
  }

  /** The specification that the container was created by. @throws NotFoundError */
  readSpec(): RuntimeSpec {
    if (this.#spec !== undefined) return this.#spec;
    const text = readIfThere(`${this.directory}/config.json`);
    if (text === undefined) throw new NotFoundError(`the specification of the container ${this.id} is missing`);
    return (this.#spec = parseRuntimeSpec(Buffer.from(text)));
  }

  /** The container's cgroup. The caller disposes of it. */
  cgroup(): Cgroup {
    return openCgroup(this.state.cgroupsPath);
  }

  status(): ContainerStatus {
    const { pid } = this.state;
    if (pid === 0) return this.#isBeingMade() ? "creating" : "stopped";
    if (!this.#isAlive()) return "stopped";
    if (existsSync(this.startFifo)) return "created";
    using cgroup = this.cgroup();
    return cgroup.isFrozen() ? "paused" : "running";
  }

  /** Whether the first process lives; one that has ended and was not waited for does not. */
  #isAlive(): boolean {
    const { pid, pidStartTime } = this.state;
    const found = processState(pid);
    return found !== undefined && found.startTime === pidStartTime && found.letter !== "Z" && found.letter !== "X";
  }

  #isBeingMade(): boolean {
    if (this.#lock !== undefined) return true;
    using lock = FileLock.tryAcquire(`${this.directory}/lock`, "exclusive");
    return lock === undefined;
  }

  /**
   * The first process, held so that no other one can be meant by its number.
   * @returns undefined when it has ended
   */
  openProcess(): OwnedFd | undefined {
    const number = openPidfd(this.state.pid);
    if (number === undefined) return undefined;
    const pidfd = new OwnedFd(number);
    if (this.#isAlive()) return pidfd;
    pidfd.close();
    return undefined;
  }

  /** Sends a signal to the first process. @returns false when it has ended */
  signal(number: number): boolean {
    using pidfd = this.openProcess();
    return pidfd !== undefined && sendSignal(pidfd, number);
  }

  /** Removes everything that is kept of the container, and ends the lock. */
  forget(): void {
    rmSync(this.directory, { recursive: true, force: true });
    this.#lock?.release();
  }

  /** Lets others change the container. */
  unlock(): void {
    this.#lock?.release();
  }

  [Symbol.dispose](): void {
    this.unlock();
  }
}

function parseState(text: string, path: string): ContainerState {
  try {
    const state = JSON.parse(text) as ContainerState;
    if (state.version === 1 && typeof state.pid === "number" && typeof state.cgroupsPath === "string") return state;
  } catch (error) {
    throw new InvalidDocumentError(`the state of the container cannot be read: ${path}`, { cause: error });
  }
  throw new InvalidDocumentError(`the state of the container is of another version of gocker: ${path}`);
}

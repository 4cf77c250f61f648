import { existsSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { FileLock } from "../linux/lock.ts";
import { sendSignal } from "../linux/process.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { isAlive, openKnownProcess } from "../linux/known-process.ts";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import { parseRuntimeSpec } from "../oci/runtime-spec-parse.ts";
import { writeFileAtomic } from "../util/atomic-file.ts";
import { GockerError, type GockerErrorOptions, InvalidDocumentError, NotFoundError } from "../util/errors.ts";
import { readIfThere } from "../util/read-if-there.ts";
import type { Cgroup } from "./cgroup/cgroup.ts";
import { NoCgroup } from "./cgroup/no-cgroup.ts";
import { openCgroup } from "./cgroup/open.ts";
import type { LiveContainer } from "./live-container.ts";
import { type OciState, ociState } from "./oci-state.ts";

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
  /** Where the cgroup is in fact, as {@link openCgroup} takes it. */
  readonly cgroupsPath: string;
  /** The unit of systemd's that the cgroup is of; absent where gocker has made it itself. */
  readonly systemdUnit?: string | undefined;
  /** Why it has no cgroup, where it has none: see `NoCgroup`. */
  readonly withoutCgroup?: string | undefined;
  /** See `Cgroup.identity`; absent until it is there. */
  readonly cgroupIdentity?: string | undefined;
  /** The end of the first process ends all others. pid_namespaces(7) */
  readonly ownPidNamespace: boolean;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A container is not in the state that a command needs. */
export class ContainerStateError extends GockerError {
  override readonly name = "ContainerStateError";
  readonly status: ContainerStatus;

  constructor(id: string, status: ContainerStatus, reason: string, options?: GockerErrorOptions) {
    super("CONTAINER_STATE", `the container ${id} is ${status}: ${reason}`, options);
    this.status = status;
  }
}

/** One container of a {@link StateStore}. */
export class RuntimeContainer implements LiveContainer, Disposable {
  readonly directory: string;
  readonly id: string;
  #lock: FileLock | undefined;
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

  /** Where its mounts are on the host, if it has any there: a directory. See `removeHostMounts`. */
  get placeOfMounts(): string {
    return `${this.directory}/mounts`;
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

  get pid(): number {
    return this.state.pid;
  }

  /** What `state` prints. */
  ociState(): OciState {
    return ociState(this.state, this.status());
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

  /** The cgroup at the container's path, where its processes are as long as its first one lives. The caller disposes of it. */
  cgroup(): Cgroup {
    const { cgroupsPath, withoutCgroup } = this.state;
    return withoutCgroup === undefined ? openCgroup(cgroupsPath) : new NoCgroup(withoutCgroup);
  }

  /**
   * The container's cgroup, whether or not its first process lives. The caller disposes of it.
   * @returns undefined when it is gone: what is at its path now is another container's
   */
  ownCgroup(): Cgroup | undefined {
    const { cgroupsPath, withoutCgroup, cgroupIdentity } = this.state;
    if (withoutCgroup !== undefined) return this.cgroup();
    const cgroup = openCgroup(cgroupsPath);
    if (cgroupIdentity !== undefined && cgroup.identity() === cgroupIdentity) return cgroup;
    cgroup[Symbol.dispose]();
    return undefined;
  }

  status(): ContainerStatus {
    if (this.pid === 0) {
      if (this.#isBeingMade()) return "creating";
      // Whoever has made it may have come to its process since the state was read.
      if (this.#lock !== undefined || this.readState().pid === 0) return "stopped";
    }
    if (!isAlive(this.#process)) return "stopped";
    using cgroup = this.cgroup();
    if (cgroup.isFrozen()) return "paused";
    return existsSync(this.startFifo) ? "created" : "running";
  }

  get #process() {
    return { pid: this.state.pid, startTime: this.state.pidStartTime };
  }

  /** Whoever makes it has its lock, and does not ask. */
  #isBeingMade(): boolean {
    if (this.#lock !== undefined) return false;
    try {
      using lock = FileLock.tryAcquire(this.#lockPath, "exclusive", "there");
      return lock === undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw error;
    }
  }

  /**
   * The first process, held so that no other one can be meant by its number.
   * @returns undefined when it has ended, or there was none yet
   */
  openProcess(): OwnedFd | undefined {
    return this.pid === 0 ? undefined : openKnownProcess(this.#process);
  }

  /** {@link openProcess}, of a container that waits to be started. @throws ContainerStateError it has ended */
  requireProcess(): OwnedFd {
    const pidfd = this.openProcess();
    if (pidfd !== undefined) return pidfd;
    throw new ContainerStateError(this.id, "stopped", "it ended before it was started");
  }

  /** Sends a signal to the first process. @returns false when it has ended */
  signal(number: number): boolean {
    using pidfd = this.openProcess();
    return pidfd !== undefined && sendSignal(pidfd, number);
  }

  /**
   * Removes everything that is kept of the container, and ends the lock, which must be held. The state goes first: nobody
   * finds the container from then on; the lock's file last: what others make after it is not touched.
   */
  forget(): void {
    tolerating(["ENOENT"], () => unlinkSync(`${this.directory}/state.json`));
    this.clear();
    this.#lock?.removeAndRelease();
    // Somebody may have taken the ID already.
    tolerating(["ENOTEMPTY", "ENOENT"], () => rmdirSync(this.directory));
  }

  /** Removes what a call that was killed may have left, all but the state and the lock, which must be held. */
  clear(): void {
    for (const name of readdirSync(this.directory)) {
      if (name !== "state.json" && name !== "lock") unlinkSync(`${this.directory}/${name}`);
    }
  }

  get #lockPath(): string {
    return `${this.directory}/lock`;
  }

  /** Lets others change the container. */
  unlock(): void {
    this.#lock?.release();
  }

  /**
   * Takes the lock again, waiting until no other call changes the container.
   * @returns false when this one has been deleted meanwhile, whether or not its ID is another's by now
   */
  async lockAgain(): Promise<boolean> {
    const known = this.state;
    try {
      this.#lock = await FileLock.acquire(this.#lockPath, "exclusive", { file: "there" });
      const { pid, pidStartTime } = this.readState();
      if (pid === known.pid && pidStartTime === known.pidStartTime) return true;
    } catch (error) {
      if (!(error instanceof NotFoundError) && (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    this.unlock();
    return false;
  }

  [Symbol.dispose](): void {
    this.unlock();
  }
}

function tolerating(codes: readonly string[], deed: () => void): void {
  try {
    deed();
  } catch (error) {
    if (!codes.includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
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

import { readdirSync, readlinkSync } from "node:fs";
import { isAlive, type KnownProcess } from "../linux/known-process.ts";
import type { OwnedFd } from "../linux/fd.ts";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import type { Cgroup } from "../runtime/cgroup/cgroup.ts";
import { openCgroup } from "../runtime/cgroup/open.ts";
import type { LiveContainer } from "../runtime/live-container.ts";
import type { OciState } from "../runtime/oci-state.ts";
import type { ContainerStatus } from "../runtime/runtime-container.ts";
import { cgroupPathIn } from "./cgroup-path.ts";
import { firstProcessOf, openFirstProcess } from "./first-process.ts";
import type { ContainerRecord } from "./record.ts";
import { readStoredSpec } from "./stored-spec.ts";

/** A container of `gocker run` for those who enter it: what its record says, and what is on the disk beside that. */
export class RecordedContainer implements LiveContainer {
  readonly #record: ContainerRecord;
  readonly #directory: string;
  #spec: RuntimeSpec | undefined;

  /**
   * @param record as it was read just now: should the container be started anew, another one is needed
   * @param directory the container's, by `ContainerStore.directory`
   */
  constructor(record: ContainerRecord, directory: string) {
    this.#record = record;
    this.#directory = directory;
  }

  get id(): string {
    return this.#record.id;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get #process(): KnownProcess | undefined {
    return firstProcessOf(this.#record.state);
  }

  status(): ContainerStatus {
    const process = this.#process;
    if (process === undefined || !isAlive(process)) return "stopped";
    try {
      // The record is written as soon as there is a process.
      if (isBeingSetUp(process.pid)) return "creating";
    } catch (error) {
      // A process gives up its program before it counts as ended.
      if ((error as NodeJS.ErrnoException).code === "ENOENT" || !isAlive(process)) return "stopped";
      throw error;
    }
    using cgroup = this.cgroup();
    return cgroup.isFrozen() ? "paused" : "running";
  }

  readSpec(): RuntimeSpec {
    return (this.#spec ??= readStoredSpec(this.id, this.#directory));
  }

  cgroup(): Cgroup {
    return openCgroup(cgroupPathIn(this.id, this.readSpec()));
  }

  openProcess(): OwnedFd | undefined {
    return openFirstProcess(this.#record.state);
  }

  ociState(): OciState {
    const { ociVersion, annotations } = this.readSpec();
    const status = this.status();
    return {
      ociVersion,
      id: this.id,
      status,
      pid: status === "stopped" ? 0 : this.pid,
      bundle: this.#directory,
      ...(annotations !== undefined && { annotations }),
    };
  }
}

/** How /proc calls the file that a plan's process executes. memfd_create(2) */
const stub = "/memfd:gocker (deleted)";

/**
 * Whether a first process still works on its plan: until that is done, its root directory may be the host's. The reaper of
 * `--init` is of the same file for good, and has nothing but its standard descriptors open then, unlike a plan.
 */
function isBeingSetUp(pid: number): boolean {
  if (readlinkSync(`/proc/${pid}/exe`) !== stub) return false;
  return readdirSync(`/proc/${pid}/fd`).some((name) => Number(name) > 2);
}

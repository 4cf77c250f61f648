import { chownSync } from "node:fs";
import { BpfProgram } from "../../linux/bpf.ts";
import type { Step } from "../../linux/launch/plan.ts";
import type { DeviceCgroupRule } from "../../oci/runtime-spec.ts";
import { readIfThere } from "../../util/read-if-there.ts";
import { BaseCgroup } from "./base.ts";
import type { CgroupView, ControllerPlace } from "./cgroup.ts";
import { delegateDefaults } from "./delegation.ts";
import { normaliseDeviceRules } from "./devices/rules.ts";
import { allowsEverything, deviceProgram } from "./devices/v2.ts";
import { CgroupError, isGone } from "./errors.ts";
import { ControlFile, exists, readControl, writeControl } from "./files.ts";
import { killListed } from "./kill.ts";
import {
  claimDirectory,
  identityOf,
  makeCgroup,
  type MakeCgroup,
  makeFreshCgroup,
  makeWhole,
  processesBelow,
  removeTree,
} from "./tree.ts";
import { pause, waitForEvent } from "./wait.ts";

/** How long processes may take until they stand still; in milliseconds. */
const freezeTimeout = 2000;

/** What whoever a cgroup is delegated to may write, as the kernel says since Linux 4.15. sysfs-kernel-cgroup */
function delegatedFiles(): string[] {
  const told = readIfThere("/sys/kernel/cgroup/delegate") ?? "cgroup.procs\ncgroup.subtree_control\ncgroup.threads";
  return told.split("\n").filter((name) => name !== "");
}

/** A cgroup in the unified hierarchy. admin-guide/cgroup-v2.rst */
export class CgroupV2 extends BaseCgroup {
  readonly path: string;
  readonly #mountPoint: string;
  readonly #directory: string;
  #opened: ControlFile | undefined;

  /** @param path absolute, see {@link Cgroup.path} */
  constructor(mountPoint: string, path: string) {
    super();
    this.path = path;
    this.#mountPoint = mountPoint;
    this.#directory = mountPoint + path;
  }

  create(): void {
    makeWhole((made) => this.make(made, makeFreshCgroup));
  }

  adopt(): void {
    makeWhole((made) => this.make(made, makeCgroup));
  }

  /**
   * Makes the cgroup and notes in `made` what it has made, for the caller to take back when something fails.
   * @param makeIn makes it anew, or where it is missing
   */
  make(made: string[], makeIn: MakeCgroup): void {
    makeIn(this.#mountPoint, this.path, made);
    delegateDefaults(this.#mountPoint, this.path);
  }

  restrictDevices(list: readonly DeviceCgroupRule[]): void {
    const rules = normaliseDeviceRules(list);
    if (allowsEverything(rules)) return;
    using program = BpfProgram.loadCgroupDevice(deviceProgram(rules));
    program.attachTo(this.#fd());
  }

  place(): ControllerPlace {
    return { version: 2, mountPoint: this.#mountPoint };
  }

  /** Nothing: the process is made in the cgroup, see {@link cloneInto}. */
  joinSteps(): Step[] {
    return [];
  }

  get cloneInto(): number {
    return this.#fd();
  }

  view(): CgroupView {
    return { type: "v2", mountPoint: this.#mountPoint };
  }

  override giveTo(uid: number): void {
    const keepGroup = -1;
    chownSync(this.#directory, uid, keepGroup);
    for (const name of delegatedFiles()) {
      const path = `${this.#directory}/${name}`;
      // Those of controllers that are not enabled here are missing.
      if (exists(path)) chownSync(path, uid, keepGroup);
    }
  }

  processes(): number[] {
    return processesBelow(this.#directory);
  }

  freeze(): void {
    this.#write("cgroup.freeze", "1", "Linux 5.2");
    if (waitForEvent(`${this.#directory}/cgroup.events`, "frozen", 1, freezeTimeout)) return;
    this.thaw();
    throw new CgroupError("CGROUP_IN_USE", `the processes of the cgroup ${this.path} cannot be frozen`, {
      hint: "one of them waits for a device or a network file system; try again later",
    });
  }

  isFrozen(): boolean {
    try {
      return readControl(`${this.#directory}/cgroup.freeze`) === "1";
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }

  exists(): boolean {
    return exists(this.#directory);
  }

  claim(): void {
    claimDirectory(this.#fd(), this.#directory);
  }

  identity(): string | undefined {
    return identityOf(this.#directory);
  }

  thaw(): void {
    this.#write("cgroup.freeze", "0", "Linux 5.2");
  }

  kill(): void {
    try {
      writeControl(`${this.#directory}/cgroup.kill`, "1");
    } catch (error) {
      if (!isGone(error)) throw error;
      // No such cgroup, or a kernel before 5.14. There a frozen process is killed as it stands.
      killListed(() => this.processes());
    }
  }

  remove(timeout = 2000): void {
    removeTree(this.#directory, {
      deadline: performance.now() + timeout,
      wait: (left) => this.#waitForEmpty(left),
    });
  }

  [Symbol.dispose](): void {
    this.#opened?.[Symbol.dispose]();
    this.#opened = undefined;
  }

  #fd(): number {
    return (this.#opened ??= ControlFile.directory(this.#directory)).fd;
  }

  #write(file: string, value: string, since: string): void {
    try {
      writeControl(`${this.#directory}/${file}`, value);
    } catch (error) {
      if (!isGone(error) || !exists(this.#directory)) throw error;
      throw new CgroupError("CGROUPS_UNABLE", `containers cannot be paused: this kernel has no ${file} (${since})`);
    }
  }

  /** Blocks until no process is left, here and below. */
  #waitForEmpty(milliseconds: number): void {
    try {
      // Already empty, and still busy: the kernel is about to let go of the last process.
      const before = performance.now();
      waitForEvent(`${this.#directory}/cgroup.events`, "populated", 0, milliseconds);
      if (performance.now() - before < 1) pause(1);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
}

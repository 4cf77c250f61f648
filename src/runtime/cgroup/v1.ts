import type { Step } from "../../linux/launch/plan.ts";
import type { DeviceCgroupRule } from "../../oci/runtime-spec.ts";
import { BaseCgroup } from "./base.ts";
import type { CgroupView, ControllerPlace, HierarchyView, ViewLink } from "./cgroup.ts";
import type { V1Hierarchy } from "./detect.ts";
import { normaliseDeviceRules } from "./devices/rules.ts";
import { deviceWrites } from "./devices/v1.ts";
import { CgroupError, isGone } from "./errors.ts";
import { ControlFile, exists, readControl, writeControl } from "./files.ts";
import { killListed } from "./kill.ts";
import { takeRealtimeBack } from "./limits/realtime.ts";
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
import { pause, waitForEnd } from "./wait.ts";

/** How long processes may take until they stand still; in milliseconds. */
const freezeTimeout = 2000;

/**
 * A cgroup in all hierarchies of version 1 that are mounted. Every one of them is joined, as Docker does: programs in
 * the container (Java's runtime, systemd) expect their own cgroup in each controller, statistics and later limits
 * need it, and with systemd's own hierarchy the container does not end with the login session that started it.
 */
export class CgroupV1 extends BaseCgroup {
  readonly path: string;
  readonly cloneInto = undefined;
  readonly #hierarchies: readonly V1Hierarchy[];
  #joins: ControlFile[] = [];
  #claimed: ControlFile | undefined;

  /** @param path absolute, see {@link Cgroup.path} */
  constructor(hierarchies: readonly V1Hierarchy[], path: string) {
    super();
    this.#hierarchies = hierarchies;
    this.path = path;
  }

  create(): void {
    makeWhole((made) => this.make(made, makeFreshCgroup));
  }

  adopt(): void {
    makeWhole((made) => this.make(made, makeCgroup));
  }

  /**
   * Makes the cgroup and notes in `made` what it has made, for the caller to take back when something fails.
   * @param makeIn makes it in one hierarchy: anew, or where it is missing
   */
  make(made: string[], makeIn: MakeCgroup): void {
    for (const { mountPoint, controllers } of this.#hierarchies) {
      makeIn(mountPoint, this.path, made);
      if (controllers.includes("cpuset")) fillCpuset(mountPoint, this.path, made);
    }
  }

  restrictDevices(list: readonly DeviceCgroupRule[]): void {
    const writes = deviceWrites(normaliseDeviceRules(list));
    if (writes.length === 0) return;
    const directory = this.#directory("devices");
    if (directory === undefined) {
      throw new CgroupError("CGROUPS_UNABLE", "access to devices cannot be restricted: no devices cgroup is mounted", {
        hint: "mount it, or run the container with --privileged, which restricts no devices",
      });
    }
    using deny = ControlFile.forWriting(`${directory}/devices.deny`);
    using allow = ControlFile.forWriting(`${directory}/devices.allow`);
    for (const { file, value } of writes) (file === "devices.deny" ? deny : allow).write(value);
  }

  place(controller: string): ControllerPlace | undefined {
    const hierarchy = this.#hierarchies.find(({ controllers }) => controllers.includes(controller));
    return hierarchy === undefined ? undefined : { version: 1, mountPoint: hierarchy.mountPoint };
  }

  /**
   * A thread that moves itself through `tasks` does so without the lock on all processes of the host, which a write
   * to `cgroup.procs` waits 10 ms for (Linux 5.5 and later); the new process has no other thread. The descriptors are
   * opened here: the kernel asks for the rights of whoever opened them, so that a user namespace does not hinder.
   */
  joinSteps(): Step[] {
    if (this.#joins.length === 0) {
      for (const { mountPoint } of this.#hierarchies) {
        this.#joins.push(ControlFile.forWriting(`${mountPoint}${this.path}/tasks`));
      }
    }
    return this.#hierarchies.map(({ directory }, index) => ({
      label: `Join the cgroup ${this.path} of the ${directory} hierarchy`,
      group: "cgroup",
      syscall: "write",
      args: [(this.#joins[index] as ControlFile).fd, "0", 1],
      path: (this.#joins[index] as ControlFile).path,
    }));
  }

  view(): CgroupView {
    const hierarchies: HierarchyView[] = [];
    const links: ViewLink[] = [];
    for (const { directory, controllers, mountPoint } of this.#hierarchies) {
      hierarchies.push({ name: directory, source: mountPoint + this.path });
      for (const name of controllers) if (name !== directory) links.push({ name, target: directory });
    }
    return { type: "v1", hierarchies, links };
  }

  processes(): number[] {
    // A process is in every hierarchy, and the container can only leave the cgroup in one that it may write to.
    const found = new Set<number>();
    for (const { mountPoint } of this.#listed()) {
      for (const pid of processesBelow(mountPoint + this.path)) found.add(pid);
    }
    return [...found];
  }

  freeze(): void {
    const file = this.#freezerState();
    const deadline = performance.now() + freezeTimeout;
    for (;;) {
      // Written each time: a process that was just being made can hold the freezer up until it is told again.
      writeControl(file, "FROZEN");
      if (readControl(file) === "FROZEN") return;
      if (performance.now() > deadline) {
        writeControl(file, "THAWED");
        throw new CgroupError("CGROUP_IN_USE", `the processes of the cgroup ${this.path} cannot be frozen`, {
          hint: "one of them waits for a device or a network file system; try again later",
        });
      }
      pause(1);
    }
  }

  isFrozen(): boolean {
    const directory = this.#directory("freezer");
    if (directory === undefined) return false;
    try {
      return readControl(`${directory}/freezer.state`) === "FROZEN";
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }

  exists(): boolean {
    return this.#hierarchies.some(({ mountPoint }) => exists(mountPoint + this.path));
  }

  claim(): void {
    const [first] = this.#hierarchies;
    if (first === undefined) return;
    const directory = first.mountPoint + this.path;
    this.#claimed ??= ControlFile.directory(directory);
    claimDirectory(this.#claimed.fd, directory);
  }

  identity(): string | undefined {
    // All are made together; the first stands for them.
    const [first] = this.#hierarchies;
    return first === undefined ? undefined : identityOf(first.mountPoint + this.path);
  }

  thaw(): void {
    writeControl(this.#freezerState(), "THAWED");
  }

  kill(): void {
    if (this.processes().length === 0) return;
    // SIGKILL reaches a frozen process only when it is thawed; those that stand still make no new ones meanwhile.
    const frozen = this.#freezeIfPossible();
    try {
      killListed(() => this.processes());
    } finally {
      if (frozen) this.thaw();
    }
  }

  remove(timeout = 2000): void {
    const deadline = performance.now() + timeout;
    for (const { mountPoint, controllers } of this.#hierarchies) {
      const directory = mountPoint + this.path;
      if (controllers.includes("cpu")) takeRealtimeBack(directory);
      removeTree(directory, { deadline, wait: (left) => waitForEnd(processesBelow(directory), left) });
    }
  }

  [Symbol.dispose](): void {
    for (const file of this.#joins) file[Symbol.dispose]();
    this.#joins = [];
    this.#claimed?.[Symbol.dispose]();
    this.#claimed = undefined;
  }

  /** The cgroup's directory in the hierarchy of a controller; undefined when that is not mounted. */
  #directory(controller: string): string | undefined {
    const place = this.place(controller);
    return place === undefined ? undefined : place.mountPoint + this.path;
  }

  /** The hierarchies to look for processes in: the freezer's and the one of pids, or else all. */
  #listed(): readonly V1Hierarchy[] {
    const chosen = this.#hierarchies.filter(
      ({ controllers }) => controllers.includes("freezer") || controllers.includes("pids"),
    );
    return chosen.length > 0 ? chosen : this.#hierarchies;
  }

  #freezerState(): string {
    const directory = this.#directory("freezer");
    if (directory === undefined) {
      throw new CgroupError("CGROUPS_UNABLE", "containers cannot be paused: no freezer cgroup is mounted");
    }
    return `${directory}/freezer.state`;
  }

  #freezeIfPossible(): boolean {
    if (this.#directory("freezer") === undefined) return false;
    try {
      this.freeze();
      return true;
    } catch (error) {
      // Gone, or a process does not stop: killing goes on without, and deals with new processes in rounds.
      if (isGone(error) || (error instanceof CgroupError && error.code === "CGROUP_IN_USE")) return false;
      throw error;
    }
  }
}

/**
 * A new cpuset has neither CPUs nor memory nodes, and nothing can join it: it gets its parent's. A parent that was
 * made here too is told that those made in it inherit, so that this is done for the first container only.
 * admin-guide/cgroup-v1/cgroups.rst, clone_children
 */
function fillCpuset(mountPoint: string, path: string, made: readonly string[]): void {
  const directory = mountPoint + path;
  if (readControl(`${directory}/cpuset.cpus`) !== "" && readControl(`${directory}/cpuset.mems`) !== "") return;
  const parentPath = path.slice(0, path.lastIndexOf("/"));
  const parent = mountPoint + parentPath;
  if (parentPath !== "") fillCpuset(mountPoint, parentPath, made);
  if (made.includes(parent)) writeControl(`${parent}/cgroup.clone_children`, "1");
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    writeControl(`${directory}/${file}`, readControl(`${parent}/${file}`));
  }
}

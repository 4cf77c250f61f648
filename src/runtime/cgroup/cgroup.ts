import type { Step } from "../../linux/launch/plan.ts";
import type { DeviceCgroupRule, Resources } from "../../oci/runtime-spec.ts";
import type { CgroupStatistics } from "./statistics/types.ts";

/**
 * The cgroup of one container, in every hierarchy of the host. Nothing is made or looked up before the first call
 * that needs it, so one made with a dead container's path finds what it left. Owns the file descriptors that joining
 * takes, not the cgroup itself: disposing closes the former, {@link Cgroup.remove} undoes the latter.
 *
 * The parents of the path stay when the cgroup is removed, as other runtimes have it: other containers are in them,
 * and handing controllers down to them costs the kernel 10 ms and more, once.
 */
export interface Cgroup extends Disposable {
  /** Absolute, below each hierarchy's mount point: `/gocker/<id>`, the `cgroupsPath` of the runtime specification. */
  readonly path: string;

  /**
   * Makes the cgroup. What was made is removed again when a part of it fails.
   * @throws CgroupError it may not be made here, or processes are in one of the same path
   */
  create(): void;

  /**
   * Instead of {@link Cgroup.create}, where somebody else has made the cgroup, as systemd makes those of its scopes:
   * it is taken as it is, with what is in it, and made in the hierarchies in which it is missing.
   * @throws CgroupError it may not be made here
   */
  adopt(): void;

  /**
   * Lets the container's processes use only the devices that the rules allow: the last rule that fits decides, and
   * where none fits the answer is no. Once, before anything joins.
   * @throws CgroupError the host's cgroups cannot do that; for version 1 also a rule that it cannot express
   */
  restrictDevices(rules: readonly DeviceCgroupRule[]): void;

  /**
   * Sets the limits of a new cgroup, apart from `devices`. Nothing is read or written where there are none.
   * @returns what is asked for and has no effect, a sentence each: kernel memory, and properties that are not known
   * @throws InvalidDocumentError a value is not of its type or range
   * @throws CgroupError a limit needs a controller that this host does not have, or the kernel refuses it
   */
  applyResources(resources: Resources): Promise<string[]>;

  /**
   * Changes the limits that are given, of a cgroup in use, frozen or not; the others stay, and so do the rules for
   * devices, whatever `resources` says of them. When one of them fails, all are as they were before.
   * @returns as {@link Cgroup.applyResources}
   * @throws as {@link Cgroup.applyResources}; AggregateError with what could not be put back beside the error
   */
  updateResources(resources: Resources): Promise<string[]>;

  /** What the cgroup uses and has used, as `runc events --stats` tells it. */
  statistics(): Promise<CgroupStatistics>;

  /**
   * Tells when processes are killed for lack of memory, here or below.
   * @throws CgroupError this host has no memory controller
   */
  watchOom(onOom: () => void): Promise<OomWatch>;

  /**
   * Where a controller's files of this cgroup are: below {@link ControllerPlace.mountPoint} at the cgroup's path. In
   * version 2 that does not tell whether the controller is enabled there. `cgroup` stands for version 2 itself, whose
   * files need no controller. Undefined when it is in no hierarchy of this host.
   */
  place(controller: string): ControllerPlace | undefined;

  /**
   * What a new process does to join, while it has a single thread; see {@link Cgroup.cloneInto} for the rest. The
   * steps write to descriptors that stay open here until disposal. They come before a private cgroup namespace is
   * made, whose root they decide, and before the user changes.
   */
  joinSteps(): Step[];

  /**
   * The directory in the unified hierarchy as a descriptor for `clone3` with CLONE_INTO_CGROUP (Linux 5.7), which
   * places the process without the lock that a write to cgroup.procs waits 10 ms for. Undefined on hosts without
   * that hierarchy. Open until disposal.
   */
  readonly cloneInto: number | undefined;

  /** What the container sees at /sys/fs/cgroup; undefined where the host has no cgroups. */
  view(): CgroupView | undefined;

  /**
   * Keeps others from taking the cgroup, which was just made and is empty, for what somebody has left. Until disposal.
   * @throws CgroupError somebody else has taken it: what is at the path now is not to be touched
   */
  claim(): void;

  /**
   * Lets a user of the host make cgroups below it and move processes between them, where it is of version 2.
   * cgroup-v2.rst, "Model of Delegation"
   */
  giveTo(uid: number): void;

  /** Every process in the cgroup and in those that the container made below it; none when it does not exist. */
  processes(): number[];

  /** Stops every process until {@link Cgroup.thaw}; returns when all of them stand still. */
  freeze(): void;

  /** Whether the processes stand still by {@link Cgroup.freeze}; false where there is no such cgroup. */
  isFrozen(): boolean;

  /** Whether the cgroup is there, in any hierarchy. */
  exists(): boolean;

  /**
   * What tells this cgroup from others that are made at its path, before or after it; undefined when there is none. Whoever
   * kept it knows later whether the processes in there are those that it means.
   */
  identity(): string | undefined;

  /** Undoes {@link Cgroup.freeze}. */
  thaw(): void;

  /** Sends SIGKILL to every process, frozen ones too. They may still be ending when this returns. */
  kill(): void;

  /**
   * Sends a signal to every process that is in it at this moment, here and below; SIGKILL as {@link Cgroup.kill} does.
   * Frozen ones get others when they are thawed.
   */
  signal(signal: number): void;

  /**
   * Removes the cgroup and those that the container made below it; one that does not exist is no error. Blocks while
   * processes in it are still ending, at most `timeout` milliseconds (2,000 unless told).
   * @throws CgroupError processes in it do not end
   */
  remove(timeout?: number): void;
}

/** In which hierarchy a controller is. */
export interface ControllerPlace {
  readonly version: 1 | 2;
  readonly mountPoint: string;
}

/** A watch for out-of-memory kills, until it is disposed of. */
export interface OomWatch extends Disposable {
  /** Resolves when there is nothing more to come: the cgroup has ended, or the watch. */
  readonly ended: Promise<void>;
}

/** How to show a container its own cgroup at /sys/fs/cgroup, read-only unless it is privileged. */
export type CgroupView =
  /** A cgroup2 file system: a new mount in the container's own cgroup namespace, else the host's. */
  | { readonly type: "v2"; readonly mountPoint: string }
  /** A tmpfs that holds a bind of each hierarchy's cgroup, and links. */
  | { readonly type: "v1"; readonly hierarchies: readonly HierarchyView[]; readonly links: readonly ViewLink[] };

/** A hierarchy's place in the container. */
export interface HierarchyView {
  /** The directory's name below /sys/fs/cgroup. */
  readonly name: string;
  /** The container's cgroup in that hierarchy: a path of the host. */
  readonly source: string;
}

/** A symbolic link below /sys/fs/cgroup, such as `cpu` to `cpu,cpuacct`. */
export interface ViewLink {
  readonly name: string;
  readonly target: string;
}

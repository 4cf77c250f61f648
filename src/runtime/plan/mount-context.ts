import type { Slot } from "../../linux/launch/plan.ts";
import type { Mount, NamespaceType } from "../../oci/runtime-spec.ts";
import { isWithin } from "../../util/path.ts";
import type { CgroupView } from "../cgroup/cgroup.ts";
import type { PreparedMounts } from "../prepared-mounts.ts";
import type { HostTrees } from "./host-trees.ts";
import type { TargetKind } from "./builder.ts";

/** A path in a directory whose links lead nowhere else, as if that were the root of all paths. */
export interface ConfinedPath {
  /** Of the host's; its own way is gocker's. */
  readonly directory: string;
  /** Below it, beginning with a slash. */
  readonly place: string;
}

/** What the plan's builder must know of the host, gathered before. */
export interface MountFacts {
  /** What a bind mount's source outside of the container's root directory is: its target is made to fit. */
  sourceKind(source: string): TargetKind;
  /**
   * The path in the container's root directory that a path of the host's names, by its words; undefined when it is
   * elsewhere. Earlier mounts may bring what is there, and links there are not the host's.
   */
  placeInRoot(source: string): string | undefined;
  /** What a bind mount's source is in, when containers write there; undefined, as when this is absent: the host's alone. */
  confined?(source: string): ConfinedPath | undefined;
  /** Where a path of the container leads by the links of its image, whether anything is there or not. */
  resolveTarget(path: string): string;
  /** What a path below /proc or /sys is, in a procfs or sysfs of this kernel; undefined when there is nothing. */
  kernelPath(path: string): "directory" | "file" | undefined;
  /**
   * The permissions of what the container's root directory has at a path, by the links in it. Undefined when nothing is
   * there, and when only the running plan can tell.
   */
  modeAt(path: string): number | undefined;
  /** Whether a path of the host is in a procfs. */
  isProcfs(source: string): boolean;
  readonly cgroupView: CgroupView | undefined;
  /** What was made for the mounts, of which the launcher keeps the descriptors open for the process. */
  readonly prepared?: Pick<PreparedMounts, "userNamespaces" | "filled" | "trees"> | undefined;
}

/** A file system that the plan made. */
export interface MadeMount {
  readonly type: string;
  readonly mount: Slot;
  /** There is something in it that the plan has not made. */
  readonly isFilled?: boolean;
}

/** The file systems that the plan made, by their place in the container: `/proc`, `/dev`, `/dev/pts`. */
export type MadeMounts = Map<string, MadeMount>;

/** What lies at a place, and below it, cannot be reached any more: another mount covers it. */
export function forgetCovered(made: MadeMounts, place: string): void {
  for (const path of made.keys()) if (isWithin(path, place)) made.delete(path);
}

/** A mount that is to be read-only and is not yet. */
export interface SealedMount {
  readonly destination: string;
  readonly mount: Slot;
}

/** What mounts are made with. */
export interface MountContext {
  readonly facts: MountFacts;
  /** What is there already; the mounts made are added to it. */
  readonly made: MadeMounts;
  /** Of each mount that was made, what is at its place. */
  readonly mounted: Map<Mount, Slot>;
  readonly trees: HostTrees;
  /** The namespaces in which the container is not where gocker is. */
  readonly own: ReadonlySet<NamespaceType>;
  /** All mounts, in the order in which they are made. */
  readonly order: readonly Mount[];
  /** All mounts, in the order of the specification. */
  readonly given: readonly Mount[];
  /** Mounts that become read-only when everything is in its place: see {@link sealMounts}. */
  readonly sealed: SealedMount[];
}

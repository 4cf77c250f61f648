import { fstatSync, readFileSync, realpathSync, statfsSync, statSync } from "node:fs";
import { openDirectory, openInDirectory } from "../linux/at.ts";
import { lastCapability } from "../linux/capabilities.ts";
import { O_CLOEXEC, O_DIRECTORY, O_PATH, PROC_SUPER_MAGIC } from "../linux/constants.ts";
import { hardLimit } from "../linux/limits.ts";
import { lsmSupport } from "../linux/lsm.ts";
import { parseMountinfo } from "../linux/mountinfo.ts";
import { namespaceAt } from "../linux/namespace.ts";
import { launch, type LaunchedProcess } from "../linux/launch/launch.ts";
import { mayTrace } from "../linux/process.ts";
import type { NamespaceType, RuntimeSpec } from "../oci/runtime-spec.ts";
import { NotFoundError } from "../util/errors.ts";
import { isWithin, splitPath } from "../util/path.ts";
import type { Cgroup } from "./cgroup/cgroup.ts";
import type { TargetKind } from "./plan/builder.ts";
import { joinedDescriptors } from "./plan/cgroup-join.ts";
import { buildLaunchPlan, type LaunchPlan } from "./plan/launch-plan.ts";
import type { ConfinedPath, MountFacts } from "./plan/mount-context.ts";
import type { NamespaceDescriptor } from "./plan/namespaces.ts";
import type { HostRights } from "./plan/rights.ts";
import type { PreparedMounts } from "./prepared-mounts.ts";
import type { RootFileSystem } from "./root.ts";
import { compileSeccomp } from "./seccomp/compile.ts";
import { nullDescriptors } from "./stdio.ts";

/** What a container's first process is started from. */
export interface ContainerProcessOptions {
  readonly id: string;
  readonly spec: RuntimeSpec;
  readonly root: RootFileSystem;
  /** Made already; its descriptors stay open until the process is launched. */
  readonly cgroup: Cgroup;
  /** See `MountFacts.resolveTarget`. */
  resolveTarget(path: string): string;
  /** See `MountFacts.confined`. */
  confined?(source: string): ConfinedPath | undefined;
  readonly terminalSocket?: number | undefined;
  /** Of the specification's mounts, where they take any: see `needsPreparation`. */
  readonly prepared?: PreparedMounts | undefined;
  /** See `LaunchPlanInput.rights`, `givenStdio` and `setgroupsDenied`. */
  readonly rights?: HostRights | undefined;
  readonly givenStdio?: readonly number[] | undefined;
  readonly setgroupsDenied?: boolean | undefined;
  /** A new user namespace of the specification's, see `NamespaceOptions.userNamespace`. */
  readonly userNamespace?: number | undefined;
  /** Namespaces of the specification's that are open already, see `NamespaceOptions.opened`. */
  readonly openedNamespaces?: ReadonlyMap<NamespaceType, NamespaceDescriptor> | undefined;
  /** See `NamespaceOptions.isBornInPidNamespace`. */
  readonly isBornInPidNamespace?: boolean | undefined;
  /** What becomes the process's descriptors 0, 1 and 2. */
  readonly stdio: readonly [number, number, number];
  readonly reaper: boolean;
  readonly diesWithParent: boolean;
  /** See `IdentityInput.lifeline`. */
  readonly lifeline?: number | undefined;
  /** What only containers have that are created and started by two calls: see `LaunchPlanInput`. */
  readonly created?: {
    readonly release?: number | undefined;
    readonly startFifo: number;
    readonly newKeyring: boolean;
    readonly preservedDescriptors: number;
    /** The root is to be changed without pivot_root(2). */
    readonly noPivot: boolean;
    readonly placeOfMounts: string;
  };
}

/** The launch plan for this host, now: looks up what the plan depends on and changes nothing. */
export function planContainer(options: ContainerProcessOptions): LaunchPlan {
  const { spec } = options;
  return buildLaunchPlan({
    id: options.id,
    spec,
    root: options.root,
    joinCgroup: options.cgroup.joinSteps(),
    facts: {
      ...mountFacts(options),
      prepared: options.prepared,
      cgroupView: options.cgroup.view(),
      lastCapability: lastCapability(),
      hardLimit,
      lsm: lsmSupport,
      namespaceAt,
      mayTrace,
    },
    seccomp: spec.linux?.seccomp === undefined ? undefined : compileSeccomp(spec.linux.seccomp),
    rights: options.rights,
    givenStdio: options.givenStdio,
    setgroupsDenied: options.setgroupsDenied,
    userNamespace: options.userNamespace,
    openedNamespaces: options.openedNamespaces,
    isBornInPidNamespace: options.isBornInPidNamespace,
    terminalSocket: options.terminalSocket,
    nullStdio: nullDescriptors(options.stdio),
    reaper: options.reaper,
    diesWithParent: options.diesWithParent,
    lifeline: options.lifeline,
    ...options.created,
    kernelMounts: options.created?.noPivot === true ? kernelMounts(options.root) : undefined,
  });
}

/** What the plan of a container's mounts depends on, but for what was made for it. */
export function mountFacts(
  options: Pick<ContainerProcessOptions, "root" | "resolveTarget" | "confined">,
): Omit<MountFacts, "cgroupView" | "prepared"> {
  const { root } = options;
  return {
    sourceKind: (source) => sourceKind(source, options.confined?.(source)),
    confined: (source) => options.confined?.(source),
    placeInRoot: (source) => placeInRoot(root, source),
    kernelPath,
    isProcfs: (source) => options.confined?.(source) === undefined && isProcfs(source),
    modeAt: (path) => modeAt(root, path),
    resolveTarget: (path) => options.resolveTarget(path),
  };
}

/** Starts the process of a plan. @throws SystemCallError */
export function launchContainer(
  plan: LaunchPlan,
  options: ContainerProcessOptions,
  process: { readonly timed: boolean },
): LaunchedProcess {
  return launch({
    namespaces: plan.namespaces,
    intoCgroup: options.cgroup.cloneInto,
    steps: plan.steps,
    stdio: options.stdio,
    descriptors: planDescriptors(plan, options),
    timed: process.timed,
  });
}

/** The descriptors that a plan's steps name, but for the standard ones. */
export function planDescriptors(plan: LaunchPlan, options: ContainerProcessOptions): number[] {
  const descriptors = joinedDescriptors(plan.steps);
  if (options.userNamespace !== undefined) descriptors.push(options.userNamespace);
  for (const { descriptor, isOwn } of options.openedNamespaces?.values() ?? []) {
    if (isOwn !== true) descriptors.push(descriptor);
  }
  if (options.prepared !== undefined) descriptors.push(...options.prepared.descriptors);
  if (options.terminalSocket !== undefined) descriptors.push(options.terminalSocket);
  if (options.created !== undefined) descriptors.push(...descriptorsOf(options.created));
  return [...new Set(descriptors)];
}

function descriptorsOf(created: NonNullable<ContainerProcessOptions["created"]>): number[] {
  const { release, startFifo, preservedDescriptors } = created;
  const preserved = Array.from({ length: preservedDescriptors }, (_, index) => 3 + index);
  return [startFifo, ...preserved, ...(release === undefined ? [] : [release])];
}

/** As gocker's own procfs and sysfs have it: what is covered there is the same for all processes. */
function kernelPath(path: string): "directory" | "file" | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  return found.isDirectory() ? "directory" : "file";
}

/** Where gocker sees a procfs or sysfs of the host's, the last one mounted first. */
function kernelMounts(root: RootFileSystem): string[] {
  const isHosts = (path: string) => root.kind === "overlay" || !isWithin(path, root.path);
  return parseMountinfo(readFileSync("/proc/self/mountinfo", "utf8"))
    .filter(({ type, mountPoint }) => (type === "proc" || type === "sysfs") && isHosts(mountPoint))
    .map(({ mountPoint }) => mountPoint)
    .toReversed();
}

/** What an overlay shows is known when it is mounted. */
function modeAt(root: RootFileSystem, path: string): number | undefined {
  if (root.kind === "overlay") return undefined;
  using directory = openDirectory(root.path);
  using found = openInDirectory(directory.number, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return found === undefined ? undefined : fstatSync(found.number).mode & 0o7777;
}

function isProcfs(source: string): boolean {
  return sourceKind(source) === "directory" && statfsSync(source).type === PROC_SUPER_MAGIC;
}

/** Links of the host's may lead there, and are followed as far as the root directory, whose own path is without any. */
function placeInRoot(root: RootFileSystem, source: string): string | undefined {
  if (root.kind !== "directory") return undefined;
  const path = `/${splitPath(source).join("/")}`;
  if (isWithin(path, root.path)) return path === root.path ? undefined : path.slice(root.path.length);
  const names = source.split("/").filter((name) => name !== "" && name !== ".");
  if (!names.includes("..") && realPath(path) === path) return undefined;
  for (let index = 1; index < names.length; index++) {
    const reached = realPath(`/${names.slice(0, index).join("/")}`);
    if (reached === undefined) return undefined;
    if (isWithin(reached, root.path)) {
      return `${reached.slice(root.path.length)}/${names.slice(index).join("/")}`;
    }
  }
  return undefined;
}

/** What keeps a path from leading anywhere. */
const deadEnds = new Set(["ENOENT", "ENOTDIR", "ELOOP", "EACCES"]);

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch (error) {
    if (deadEnds.has((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}

function sourceKind(source: string, confined?: ConfinedPath): TargetKind {
  if (confined !== undefined) return confinedKind(source, confined);
  try {
    return statSync(source).isDirectory() ? "directory" : "file";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw noSource(source, error);
  }
}

function confinedKind(source: string, { directory, place }: ConfinedPath): TargetKind {
  using root = openDirectory(directory);
  using found = openInDirectory(root.number, place, O_PATH | O_CLOEXEC);
  if (found === undefined) throw noSource(source);
  return fstatSync(found.number).isDirectory() ? "directory" : "file";
}

function noSource(source: string, cause?: unknown): NotFoundError {
  return new NotFoundError(`mounts: the source of a mount does not exist: ${source}`, { cause });
}

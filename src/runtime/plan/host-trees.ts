import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  F_DUPFD_CLOEXEC,
  CLONE_NEWNS,
  MOUNT_ATTR_IDMAP,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOVE_MOUNT_F_EMPTY_PATH,
  MS_REC,
  MS_SHARED,
  MS_SLAVE,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  S_IFREG,
} from "../../linux/constants.ts";
import type { Slot } from "../../linux/launch/plan.ts";
import type { Device, Mount, RuntimeSpec } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import { hasMappings, type MountOptions, parseMountOptions } from "../mount-options.ts";
import type { RootFileSystem } from "../root.ts";
import { openInRoot, type PlanBuilder, type TargetKind } from "./builder.ts";
import { hostDevices } from "./devices.ts";
import type { ConfinedPath, MountFacts } from "./mount-context.ts";

const group = "file system";

/**
 * What a plan takes of the host's files before its process leaves the host's mounts, or the host's rights: copies of mounts
 * that are nowhere yet, each for one place.
 */
export interface HostTrees {
  readonly binds: ReadonlyMap<Mount, Slot>;
  /** The directories of a cgroup mount, by their paths on the host. */
  readonly cgroups: ReadonlyMap<Mount, ReadonlyMap<string, Slot>>;
  /** Device nodes, by their paths; absent where the plan makes them. */
  readonly devices?: ReadonlyMap<string, Slot>;
  /** The null device, to cover files with; absent where the plan makes one. */
  readonly cover?: Slot;
}

/**
 * Takes the sources of those bind mounts that are to have to do with the host's mounts, before the container's are cut
 * off from them: copies share what their originals share. mount_namespaces(7)
 * @param of `isCutOff`: nothing that the host mounts later comes to the container either; `root`: which will be its root
 */
export function takeSharedTrees(
  builder: PlanBuilder,
  mounts: readonly Mount[],
  facts: MountFacts,
  { isCutOff, root }: { readonly isCutOff: boolean; readonly root: RootFileSystem },
): HostTrees {
  let opened: Slot | undefined;
  const rootDirectory = () => (opened ??= openRoot(builder, root));
  const binds = new Map<Mount, Slot>();
  for (const mount of mounts) {
    const options = parseMountOptions(mount.options ?? []);
    if (options.remount === true || !isBind(mount, options)) continue;
    if (options.propagations.some(({ type }) => type === MS_SHARED || (isCutOff && type === MS_SLAVE))) {
      binds.set(mount, takeSource(builder, mount, options, facts, rootDirectory));
    }
  }
  return { binds, cgroups: new Map() };
}

/**
 * The host's device nodes, for a container that no rights of the host's are used for: none can be made for it, and what
 * it takes of the host its own root could take as well. Before the host's root is left.
 */
export function takeNodes(builder: PlanBuilder, { linux = {} }: RuntimeSpec): Pick<HostTrees, "devices" | "cover"> {
  const devices = hostDevices(linux.devices ?? []).map((device) => [device.path, takeNode(builder, device)] as const);
  const isMasked = (linux.maskedPaths ?? []).length > 0;
  return { devices: new Map(devices), ...(isMasked && { cover: takeNode(builder, { path: "/dev/null" }) }) };
}

function openRoot(builder: PlanBuilder, root: RootFileSystem): Slot {
  const path = root.kind === "directory" ? root.path : root.target;
  return builder.addFor("root directory", {
    label: "Open the root directory, for what is taken of it",
    group,
    syscall: "openat",
    args: [AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC],
    path,
  });
}

/** Trees on their way into a user namespace's mounts. */
export interface StagedTrees {
  readonly trees: HostTrees;
  /** Adds the steps that take them up again, for a process that is there. */
  arrive(builder: PlanBuilder): void;
}

/**
 * Takes all that a container with a user namespace gets of the host: its root may not go where the host's root goes, and
 * can make no device.
 *
 * The trees are put into a mount namespace that the container's is a copy of, with that namespace's root in between. What
 * is copied into a less privileged mount namespace stays as the host had it: read-only where it was, and nothing is
 * uncovered. Trees that are carried over as descriptors would be its root's to change. mount_namespaces(7), "Restrictions"
 * @param root the root directory: `take` adds the step that takes it
 */
export function stageAllTrees(
  builder: PlanBuilder,
  { mounts = [], linux = {} }: RuntimeSpec,
  facts: MountFacts,
  root: { readonly path: string; take(): Slot },
): StagedTrees {
  const places: { readonly tree: Slot; readonly isDirectory: boolean; readonly path: string }[] = [];
  const keep = (tree: Slot, path: string, kind: TargetKind = "directory"): Slot => {
    places.push({ tree, isDirectory: kind === "directory", path });
    return tree;
  };
  addOwnMounts(builder);
  keep(root.take(), "the root directory");
  const binds = new Map<Mount, Slot>();
  const cgroups = new Map<Mount, ReadonlyMap<string, Slot>>();
  for (const mount of mounts) {
    const options = parseMountOptions(mount.options ?? []);
    if (options.remount === true) continue;
    if (isBind(mount, options)) {
      const { source = "" } = mount;
      // What earlier mounts bring to the container's root directory is not there yet.
      if (facts.placeInRoot(source) !== undefined) continue;
      const tree = takeSource(builder, mount, options, facts, () => builder.root);
      binds.set(mount, keep(tree, source, facts.sourceKind(source)));
    } else if (mount.type === "cgroup" || mount.type === "cgroup2") {
      const taken = takeCgroups(builder, mount.destination, facts);
      for (const [source, tree] of taken) keep(tree, source);
      cgroups.set(mount, taken);
    }
  }
  const node = (device: Pick<Device, "path">) => keep(takeNode(builder, device), device.path, "file");
  const devices = new Map(hostDevices(linux.devices ?? []).map((device) => [device.path, node(device)]));
  const cover = (linux.maskedPaths ?? []).length > 0 ? node({ path: "/dev/null" }) : undefined;
  const staging = addStaging(builder, root.path);
  places.forEach((place, index) => addToStaging(builder, staging, place, String(index)));
  return {
    trees: { binds, cgroups, devices, ...(cover !== undefined && { cover }) },
    arrive: (later) => places.forEach(({ tree, path }, index) => takeUp(later, tree, path, String(index))),
  };
}

function addOwnMounts(builder: PlanBuilder): void {
  builder.add({ label: "Begin with mounts of its own", group, syscall: "unshare", args: [CLONE_NEWNS] });
  builder.add({
    label: "Keep them from showing on the host",
    group,
    syscall: "mount",
    args: [0, "/", 0, MS_REC | MS_SLAVE, 0],
    path: "/",
  });
}

/** An empty directory, mounted where the container's root directory will be, over what has been taken by then. */
function addStaging(builder: PlanBuilder, path: string): Slot {
  const staging = builder.newFileSystem({
    label: "A place for what is the host's",
    group,
    type: "tmpfs",
    source: "tmpfs",
    options: ["mode=755"],
    attributes: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
  });
  builder.add({
    label: `Mount it at ${path}`,
    group,
    syscall: "move_mount",
    args: [staging, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH],
    path,
  });
  // A copy of these mounts has the copy of this directory as its working directory.
  builder.add({ label: "Go there", group, syscall: "fchdir", args: [staging] });
  return staging;
}

function addToStaging(
  builder: PlanBuilder,
  staging: Slot,
  { tree, isDirectory, path }: { readonly tree: Slot; readonly isDirectory: boolean; readonly path: string },
  name: string,
): void {
  builder.add({
    label: `Make a place for ${path}`,
    group,
    ...(isDirectory
      ? { syscall: "mkdirat", args: [staging, name, 0o755] }
      : { syscall: "mknodat", args: [staging, name, S_IFREG | 0o644, 0] }),
    path,
  });
  builder.add({
    label: `Put it there`,
    group,
    syscall: "move_mount",
    args: [tree, "", staging, name, MOVE_MOUNT_F_EMPTY_PATH],
    path,
  });
}

/** By its name in the working directory: descriptors lead to the mounts that these are copies of. */
function takeUp(builder: PlanBuilder, tree: Slot, path: string, name: string): void {
  builder.add({
    label: `Take ${path} up`,
    group,
    syscall: "open_tree",
    args: [AT_FDCWD, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE],
    result: tree,
    path,
  });
}

/** Whether a mount is a bind mount, by its type or its options. */
export function isBind({ type }: Mount, { bind }: MountOptions): boolean {
  return bind !== undefined || type === "bind";
}

/**
 * The source of a bind mount as a mount of its own, with the owners of files that the mount is to have. open_tree(2)
 * @param rootDirectory the container's, in which a source is looked for that lies there: its links are not the host's
 */
export function takeSource(
  builder: PlanBuilder,
  mount: Mount,
  options: MountOptions,
  facts: MountFacts,
  rootDirectory: () => Slot,
): Slot {
  const { source, destination } = mount;
  if (source === undefined || !source.startsWith("/")) {
    throw new InvalidDocumentError(`mounts: the bind mount at ${destination} needs a source that is an absolute path`);
  }
  const recursive = options.bind === "rbind" ? AT_RECURSIVE : 0;
  const label = `Take ${source} for ${destination}`;
  const place = facts.placeInRoot(source);
  const confined = facts.confined?.(source);
  let tree: Slot;
  if (place !== undefined) {
    tree = takeOfRoot(builder, { root: rootDirectory(), place, source, label, flags: recursive });
  } else if (confined !== undefined) {
    const root = openConfining(builder, confined);
    tree = takeOfRoot(builder, { root, place: confined.place, source, label, flags: recursive });
  } else tree = takeTree(builder, source, label, recursive);
  addIdMap(builder, mount, tree, options, facts);
  return tree;
}

/**
 * A copy of what was taken beforehand, made when its turn has come: since Linux 6.8 /proc/self/mountinfo lists mounts in
 * the order in which they were made, not in which they came to their places. Where the kernel copies no mount that is
 * nowhere, as before Linux 6.15, it is what was taken itself.
 */
export function retake(builder: PlanBuilder, taken: Slot, { destination }: Mount, { bind }: MountOptions): Slot {
  const tree = builder.addFor(`copy for ${destination}`, {
    label: `Keep what was taken for ${destination}`,
    group,
    syscall: "fcntl",
    args: [taken, F_DUPFD_CLOEXEC, 3],
    path: destination,
  });
  const flags = AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (bind === "rbind" ? AT_RECURSIVE : 0);
  builder.add({
    label: "Take it once more, in its turn",
    group,
    syscall: "open_tree",
    args: [taken, "", flags],
    onError: { tolerate: ["EINVAL"] },
    result: tree,
    path: destination,
  });
  return tree;
}

function takeTree(builder: PlanBuilder, source: string, label: string, flags = 0): Slot {
  return builder.addFor(source, {
    label,
    group,
    syscall: "open_tree",
    args: [AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags],
    path: source,
  });
}

function openConfining(builder: PlanBuilder, { directory }: ConfinedPath): Slot {
  return builder.addFor(directory, {
    label: `Open ${directory}, whose links lead nowhere else`,
    group,
    syscall: "openat",
    args: [AT_FDCWD, directory, O_PATH | O_DIRECTORY | O_CLOEXEC],
    path: directory,
  });
}

function takeOfRoot(
  builder: PlanBuilder,
  of: {
    readonly root: Slot;
    readonly place: string;
    readonly source: string;
    readonly label: string;
    readonly flags: number;
  },
): Slot {
  const { source: path, label, flags } = of;
  const found = builder.addFor(`place of ${path}`, {
    label: `Find ${path} without leaving its root`,
    group,
    syscall: "openat2",
    args: openInRoot(of.root, of.place.slice(1), 0),
    path,
  });
  return builder.addFor(path, {
    label,
    group,
    syscall: "open_tree",
    args: [found, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags],
    path,
  });
}

/** A directory that was taken before the plan, by its descriptor: see `PreparedMounts.trees`. */
export function takeGiven(builder: PlanBuilder, { source, destination }: Mount, descriptor: number): Slot {
  return builder.addFor(source ?? "directory", {
    label: `Take what ${source} has for ${destination}`,
    group,
    syscall: "fcntl",
    args: [descriptor, F_DUPFD_CLOEXEC, 3],
    path: destination,
  });
}

/** A directory of the host's cgroups for a place in the container. */
export function takeCgroup(builder: PlanBuilder, source: string, destination: string): Slot {
  return takeTree(builder, source, `Take ${source} for ${destination}`);
}

function takeCgroups(builder: PlanBuilder, destination: string, { cgroupView }: MountFacts): Map<string, Slot> {
  const sources =
    cgroupView?.type === "v1" ? cgroupView.hierarchies.map(({ source }) => source) : [cgroupView?.mountPoint ?? ""];
  const taken = new Map<string, Slot>();
  for (const source of sources) if (source !== "") taken.set(source, takeCgroup(builder, source, destination));
  return taken;
}

/** `open_tree` follows the host's links only. */
function takeNode(builder: PlanBuilder, { path }: Pick<Device, "path">): Slot {
  return takeTree(builder, path, `Take the host's ${path}`);
}

/**
 * Gives a mount the owners of its mappings' user namespace, while it is nowhere yet: afterwards the kernel refuses that.
 * mount_setattr(2), Linux 5.12
 */
function addIdMap(builder: PlanBuilder, mount: Mount, tree: Slot, { idMap }: MountOptions, facts: MountFacts): void {
  if (idMap === undefined && !hasMappings(mount)) return;
  const { destination } = mount;
  const userNamespace = facts.prepared?.userNamespaces.get(mount);
  if (userNamespace === undefined) {
    throw new InvalidDocumentError(`mounts: the owners of files at ${destination} cannot be changed here`);
  }
  builder.setMountAttributes({
    label: `Change the owners of files at ${destination}`,
    group,
    mount: tree,
    set: MOUNT_ATTR_IDMAP,
    userNamespace,
    flags: idMap === "ridmap" ? AT_RECURSIVE : 0,
    hints: {
      EINVAL: "the file system of its source cannot do that, or the source is such a mount already",
      EPERM: "the file system of its source belongs to another user namespace",
    },
  });
}

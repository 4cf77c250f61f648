import {
  AT_FDCWD,
  AT_RECURSIVE,
  MOUNT_ATTR_RDONLY,
  MS_PRIVATE,
  MS_SHARED,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from "../../linux/constants.ts";
import type { Slot } from "../../linux/launch/plan.ts";
import type { Mount } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import { splitPath } from "../../util/path.ts";
import type { CgroupView } from "../cgroup/cgroup.ts";
import { parseMountOptions, type MountOptions } from "../mount-options.ts";
import type { PlanBuilder, TargetKind } from "./builder.ts";

const group = "file system";

/** What the plan's builder must know of the host, gathered before. */
export interface MountFacts {
  /** What a bind mount's source is: its target is made to fit. */
  sourceKind(source: string): TargetKind;
  /** Where a path of the container leads by the links of its image, whether anything is there or not. */
  resolveTarget(path: string): string;
  /** What a path below /proc or /sys is, in a procfs or sysfs of this kernel; undefined when there is nothing. */
  kernelPath(path: string): "directory" | "file" | undefined;
  readonly cgroupView: CgroupView | undefined;
}

/** Whether a mount is the one at /proc or, by its name, in there. */
export function isInProc(mount: Mount): boolean {
  return splitPath(mount.destination)[0] === "proc";
}

/** A file system that the plan made. */
export interface MadeMount {
  readonly type: string;
  readonly mount: Slot;
}

/** The file systems that the plan made, by their place in the container: `/proc`, `/dev`, `/dev/pts`. */
export type MadeMounts = Map<string, MadeMount>;

/** The sources of bind mounts that were taken beforehand. */
export type BindSources = ReadonlyMap<Mount, Slot>;

/**
 * Takes the sources of those bind mounts that are to be shared with the host, before the container's mounts are cut off
 * from it: copies share what their originals share. mount_namespaces(7)
 */
export function takeSharedSources(builder: PlanBuilder, mounts: readonly Mount[]): BindSources {
  const taken = new Map<Mount, Slot>();
  for (const mount of mounts) {
    const options = parseMountOptions(mount.options ?? []);
    if (options.propagation === MS_SHARED && isBind(mount, options))
      taken.set(mount, takeSource(builder, mount, options));
  }
  return taken;
}

function isBind({ type }: Mount, { bind }: MountOptions): boolean {
  return bind !== undefined || type === "bind";
}

function takeSource(builder: PlanBuilder, { source, destination }: Mount, { bind }: MountOptions): Slot {
  if (source === undefined || !source.startsWith("/")) {
    throw new InvalidDocumentError(`mounts: the bind mount at ${destination} needs a source that is an absolute path`);
  }
  return builder.addFor(source, {
    label: `Take ${source} for ${destination}`,
    group,
    syscall: "open_tree",
    args: [AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (bind === "rbind" ? AT_RECURSIVE : 0)],
    path: source,
  });
}

/** What mounts are made with. */
interface MountContext {
  readonly facts: MountFacts;
  /** What is there already; the mounts made are added to it. */
  readonly made: MadeMounts;
  readonly sources: BindSources;
}

/**
 * The mounts of the specification, in its order. Sources are taken while the host's root is still there; targets are
 * found below the container's root.
 * @throws InvalidDocumentError for a mount that breaks the specification's rules
 */
export function addMounts(builder: PlanBuilder, mounts: readonly Mount[], context: MountContext): void {
  const { facts, made } = context;
  mounts.forEach((mount, index) => {
    if (!mount.destination.startsWith("/")) {
      throw new InvalidDocumentError(`mounts[${index}].destination: ${mount.destination} is not absolute`);
    }
    const destination = `/${splitPath(mount.destination).join("/")}`;
    const options = parseMountOptions(mount.options ?? []);
    if (mount.type === "cgroup" || mount.type === "cgroup2") {
      addCgroupMount(builder, destination, options, facts, made);
    } else if (isBind(mount, options)) {
      addBind(builder, { mount, destination, options, context });
    } else addFileSystem(builder, mount, destination, options, facts, made);
  });
}

/**
 * Where a mount's target is to be made. A link of the image there must not put the mount among the kernel's own files.
 * What links in volumes do, and change while they are looked at, is dealt with by mounting /proc last.
 * @throws InvalidDocumentError
 */
function placeOfTarget(destination: string, facts: MountFacts): string {
  const place = facts.resolveTarget(destination);
  if (splitPath(place)[0] !== "proc" || splitPath(destination)[0] === "proc") return place;
  throw new InvalidDocumentError(`cannot mount at ${destination}: the image has a link there that leads to ${place}`, {
    hint: "mounts in /proc could replace what the kernel says; choose another target",
  });
}

/** File systems whose target must be a real directory: a link there would let an image move them aside. */
const pinned = new Set(["proc", "sysfs"]);

function addFileSystem(
  builder: PlanBuilder,
  mount: Mount,
  destination: string,
  options: MountOptions,
  facts: MountFacts,
  made: MadeMounts,
): void {
  const { type } = mount;
  if (type === undefined) throw new InvalidDocumentError(`mounts: the mount at ${destination} needs a type`);
  // A new file system has nothing below it.
  const attributes = options.set | options.recursiveSet;
  const readOnly = (attributes & MOUNT_ATTR_RDONLY) !== 0;
  const label = `Mount ${type} at ${destination}`;
  const slot = builder.newFileSystem({
    label,
    group,
    type,
    source: mount.source,
    options: readOnly ? [...options.data, "ro"] : options.data,
    attributes,
  });
  if (options.propagation !== 0) addPropagation(builder, destination, slot, options);
  const target = pinned.has(type)
    ? builder.openTarget(group, destination, "directory", { noSymlinks: true })
    : openDirectoryTarget(builder, destination, facts, made);
  builder.attach(label, group, slot, target, destination);
  made.set(destination, { type, mount: slot });
}

/** The directory of a mount point; where the plan knows more of the place than its path, with fewer steps. */
function openDirectoryTarget(builder: PlanBuilder, destination: string, facts: MountFacts, made: MadeMounts): Slot {
  const parts = splitPath(destination);
  const name = parts.pop() ?? "";
  const parent = made.get(`/${parts.join("/")}`);
  if (parent?.type === "tmpfs") return builder.makeDirectoryIn(group, parent.mount, name, destination);
  const [top] = parts;
  // The kernel's own file systems have a place or they do not: none can be made there.
  const isKernels = top !== undefined && pinned.has(made.get(`/${top}`)?.type ?? "");
  return builder.openTarget(
    group,
    destination,
    "directory",
    isKernels ? { create: false } : { createAt: placeOfTarget(destination, facts) },
  );
}

function addPropagation(builder: PlanBuilder, destination: string, mount: Slot, options: MountOptions): void {
  builder.setMountAttributes({
    label: `Set how mounts below ${destination} spread`,
    group,
    mount,
    propagation: options.propagation,
    flags: options.recursivePropagation ? AT_RECURSIVE : 0,
  });
}

interface Bind {
  readonly mount: Mount;
  readonly destination: string;
  readonly options: MountOptions;
  readonly context: MountContext;
}

function addBind(builder: PlanBuilder, { mount, destination, options, context }: Bind): void {
  const { facts, sources } = context;
  const tree = sources.get(mount) ?? takeSource(builder, mount, options);
  const source = mount.source as string;
  addPropagation(builder, destination, tree, {
    ...options,
    propagation: options.propagation === 0 ? MS_PRIVATE : options.propagation,
    recursivePropagation: options.propagation === 0 || options.recursivePropagation,
  });
  // A clone keeps what the host locked: attributes are only added to those that the source has.
  if (options.set !== 0 || options.clear !== 0) {
    builder.setMountAttributes({
      label: `Set the attributes of ${destination}`,
      group,
      mount: tree,
      set: options.set,
      clear: options.clear,
    });
  }
  if (options.recursiveSet !== 0 || options.recursiveClear !== 0) {
    builder.setMountAttributes({
      label: `Set the attributes of ${destination} and of all below`,
      group,
      mount: tree,
      set: options.recursiveSet,
      clear: options.recursiveClear,
      flags: AT_RECURSIVE,
    });
  }
  const target = builder.openTarget(group, destination, facts.sourceKind(source), {
    createAt: placeOfTarget(destination, facts),
  });
  builder.attach(`Mount ${source} at ${destination}`, group, tree, target, destination);
}

function addCgroupMount(
  builder: PlanBuilder,
  destination: string,
  options: MountOptions,
  facts: MountFacts,
  made: MadeMounts,
): void {
  const view = facts.cgroupView;
  if (view === undefined) return;
  const target = openDirectoryTarget(builder, destination, facts, made);
  if (view.type === "v2") {
    const mount = builder.newFileSystem({
      label: `Mount cgroup2 at ${destination}`,
      group,
      type: "cgroup2",
      source: "cgroup",
      options: [],
      attributes: options.set,
    });
    builder.attach(`Mount cgroup2 at ${destination}`, group, mount, target, destination);
    return;
  }
  const writable = options.set & ~MOUNT_ATTR_RDONLY;
  const base = builder.newFileSystem({
    label: `Mount tmpfs at ${destination}`,
    group,
    type: "tmpfs",
    source: "tmpfs",
    options: ["mode=755"],
    attributes: writable,
  });
  builder.attach(`Mount tmpfs at ${destination}`, group, base, target, destination);
  for (const hierarchy of view.hierarchies) {
    const path = `${destination}/${hierarchy.name}`;
    const tree = builder.addFor(path, {
      label: `Take the container's ${hierarchy.name} cgroup`,
      group,
      syscall: "open_tree",
      args: [AT_FDCWD, hierarchy.source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC],
      path: hierarchy.source,
    });
    builder.setMountAttributes({
      label: `Set the attributes of ${path}`,
      group,
      mount: tree,
      set: options.set,
      propagation: MS_PRIVATE,
    });
    builder.attach(
      `Mount it at ${path}`,
      group,
      tree,
      builder.makeDirectoryIn(group, base, hierarchy.name, path),
      path,
    );
  }
  for (const link of view.links) {
    builder.add({
      label: `Link ${destination}/${link.name} to ${link.target}`,
      group,
      syscall: "symlinkat",
      args: [link.target, base, link.name],
      path: `${destination}/${link.name}`,
    });
  }
  if (writable !== options.set) {
    builder.setMountAttributes({
      label: `Make ${destination} read-only`,
      group,
      mount: base,
      set: MOUNT_ATTR_RDONLY,
    });
  }
}

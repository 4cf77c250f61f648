import {
  AT_FDCWD,
  AT_RECURSIVE,
  MNT_DETACH,
  MOUNT_ATTR_RDONLY,
  MS_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MS_PRIVATE,
  MS_REC,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
} from "../../linux/constants.ts";
import { slot, type Slot, type Step } from "../../linux/launch/plan.ts";
import type { DirectoryRoot, RootFileSystem } from "../root.ts";
import type { PlanBuilder } from "./builder.ts";
import { InvalidDocumentError } from "../../util/errors.ts";

const group = "file system";

const propagations: Record<string, number> = {
  private: MS_PRIVATE,
  rprivate: MS_PRIVATE | MS_REC,
  shared: MS_SHARED,
  rshared: MS_SHARED | MS_REC,
  slave: MS_SLAVE,
  rslave: MS_SLAVE | MS_REC,
  unbindable: MS_UNBINDABLE,
  runbindable: MS_UNBINDABLE | MS_REC,
};

/**
 * Cuts the new mount namespace off: nothing mounted here may appear on the host. Slave rather than private by default:
 * what the host unmounts later goes from here too and is not kept busy by a container.
 * @param propagation `linux.rootfsPropagation`: what the root directory itself is to be comes later
 */
export function addPropagationStep(builder: PlanBuilder, propagation: string | undefined): void {
  builder.add({
    label: "Keep mounts of the container from showing on the host",
    group,
    syscall: "mount",
    args: [0, "/", 0, MS_REC | (isCutOff(propagation) ? MS_PRIVATE : MS_SLAVE), 0],
    path: "/",
  });
}

/** Whether the host's mounts have no way into the container's. @throws InvalidDocumentError */
export function isCutOff(propagation: string | undefined): boolean {
  return (propagationOf(propagation) & MS_PRIVATE) !== 0;
}

/** @throws InvalidDocumentError for a `linux.rootfsPropagation` that does not exist */
function propagationOf(name = "rslave"): number {
  const flags = propagations[name];
  if (flags === undefined) throw new InvalidDocumentError(`linux.rootfsPropagation: unknown value ${name}`);
  return flags;
}

/** How mounts below the root directory spread, where that is more than nothing. pivot_root(2) moves no shared mount. */
export function addRootPropagation(builder: PlanBuilder, propagation: string | undefined): void {
  const flags = propagationOf(propagation);
  const type = flags & ~MS_REC;
  if (type === MS_PRIVATE || type === MS_SLAVE) return;
  builder.setMountAttributes({
    label: "Set how mounts below the root directory spread",
    group,
    mount: builder.root,
    propagation: type,
    flags: (flags & MS_REC) === 0 ? 0 : AT_RECURSIVE,
  });
}

/** Makes the container's root directory a mount of its own and leaves it open in {@link PlanBuilder.root}. */
export function addRootSteps(builder: PlanBuilder, root: RootFileSystem): void {
  if (root.kind === "directory") {
    takeRoot(builder, root);
    addRootAttachment(builder, builder.root, root.path);
    return;
  }
  addBaseStep(builder, root.base);
  const { upper, work, volatile, target, lower } = root;
  const writable = [`upperdir=${upper}`, `workdir=${work}`, ...(volatile ? ["volatile"] : [])];
  const add = root.layersOneByOne ? addOverlay : addOverlayInOnePage;
  add(builder, { lower, target, more: writable, attributes: 0, result: builder.root });
  for (const image of root.images ?? []) {
    add(builder, { ...image, more: [], attributes: MOUNT_ATTR_RDONLY, result: slot("image") });
  }
}

/** An overlay to be mounted: of layers, and what more its options say. */
interface OverlayMount {
  /** Lowest first. */
  readonly lower: readonly string[];
  readonly target: string;
  readonly more: readonly string[];
  readonly attributes: number;
  /** Its root directory. */
  readonly result: Slot;
}

/**
 * The root directory of a container that has the host's mounts: its own are all in one, at a place of its own, and come to
 * no other namespace or place that has to do with the host's.
 */
export function addHostRootSteps(builder: PlanBuilder, root: RootFileSystem, place: string | undefined): void {
  if (root.kind !== "directory" || place === undefined) {
    throw new InvalidDocumentError("linux.namespaces: a container of an image needs a mount namespace");
  }
  // What it is mounted on is private and has nothing in it: copies of that, where the host's mounts are shared, go with it.
  const base = builder.addFor("place of the mounts", {
    label: `Take ${place} for the mounts`,
    group,
    syscall: "open_tree",
    args: [AT_FDCWD, place, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC],
    path: place,
  });
  builder.add({
    label: "Mount it at itself",
    group,
    syscall: "move_mount",
    args: [base, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH],
    path: place,
  });
  addPrivacy(builder, base);
  takeRoot(builder, root);
  // Before it is anywhere: what it is a copy of may be shared.
  addPrivacy(builder, builder.root);
  builder.attach("Mount the root directory there", group, builder.root, base, place);
}

function addPrivacy(builder: PlanBuilder, mount: Slot): void {
  builder.setMountAttributes({
    label: "Keep mounts of the container from showing elsewhere",
    group,
    mount,
    propagation: MS_PRIVATE,
    flags: AT_RECURSIVE,
  });
}

/** A directory of the host's as a mount that is nowhere yet. open_tree(2) */
export function takeRoot(builder: PlanBuilder, root: DirectoryRoot): void {
  builder.add({
    label: `Take ${root.path} as the root directory`,
    group,
    syscall: "open_tree",
    args: [AT_FDCWD, root.path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE],
    result: builder.root,
    path: root.path,
  });
}

/**
 * Mounts what {@link takeRoot} has taken in a mount namespace of a user namespace: at its own path, where hooks look for
 * it, or over all else when the way there is closed to who is not the host's root.
 */
export function addTakenRoot(builder: PlanBuilder, { path }: DirectoryRoot): void {
  const move = (target: string, more: Partial<Step>) =>
    builder.add({
      label: `Mount the root directory at ${target}`,
      group,
      syscall: "move_mount",
      args: [builder.root, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH],
      path: target,
      ...more,
    });
  move(path, { onError: { tolerate: ["EACCES"] }, onSuccess: { skip: 1 } });
  move("/", {});
}

function addRootAttachment(builder: PlanBuilder, root: Slot, target: string): void {
  builder.add({
    label: `Mount the root directory at ${target}`,
    group,
    syscall: "move_mount",
    args: [root, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH],
    path: target,
  });
}

function addBaseStep(builder: PlanBuilder, base: string): void {
  // Paths below the store stay short this way: fsconfig(2) takes no more than 255 bytes.
  builder.add({ label: `Go to the store, ${base}`, group, syscall: "chdir", args: [base], path: base });
}

function addOverlay(builder: PlanBuilder, { lower, target, more, attributes, result }: OverlayMount): void {
  // The kernel's list begins with the uppermost layer.
  const layers = lower.toReversed().map((path) => `lowerdir+=${path}`);
  builder.newFileSystem({
    label: "Overlay",
    group,
    type: "overlay",
    source: "overlay",
    options: [...layers, ...more],
    attributes,
    result,
  });
  addRootAttachment(builder, result, target);
}

/** The first of the descriptors that stand for layers in the options of mount(2). */
const layerDescriptors = 500;

/**
 * For kernels before 6.7: all layers in one option, which must fit a page together with the rest. Descriptors make the
 * names short enough for the 127 layers that an image may have.
 */
function addOverlayInOnePage(builder: PlanBuilder, { lower, target, more, attributes, result }: OverlayMount): void {
  const layers = lower.toReversed().map((path, index) => {
    const layer = builder.addFor(`layer ${index}`, {
      label: `Open the layer ${path}`,
      group,
      syscall: "openat",
      args: [AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC],
      path,
    });
    builder.add({
      label: "Give the layer a number",
      group,
      syscall: "dup3",
      args: [layer, layerDescriptors + index, O_CLOEXEC],
    });
    return `/proc/self/fd/${layerDescriptors + index}`;
  });
  builder.add({
    label: "Mount the overlay of the layers",
    group,
    syscall: "mount",
    args: [
      "overlay",
      target,
      "overlay",
      attributes === MOUNT_ATTR_RDONLY ? MS_RDONLY : 0,
      [`lowerdir=${layers.join(":")}`, ...more].join(","),
    ],
    path: target,
  });
  builder.add({
    label: "Open the root directory",
    group,
    syscall: "openat",
    args: [AT_FDCWD, target, O_PATH | O_DIRECTORY | O_CLOEXEC],
    result,
    path: target,
  });
}

/**
 * Makes the root directory the only one there is. pivot_root(2): with "." for both, the old root ends up under the new
 * one and can be let go at once.
 */
export function addPivotSteps(builder: PlanBuilder): void {
  addEntrance(builder);
  builder.add({ label: "Make it the root of all paths", group, syscall: "pivot_root", args: [".", "."] });
  builder.add({ label: "Let go of the host's files", group, syscall: "umount2", args: [".", MNT_DETACH] });
  builder.add({ label: "Start at /", group, syscall: "chdir", args: ["/"] });
}

/**
 * Moves the root directory over the root of all paths, as switch_root(8) does: for hosts that run from their initial RAM
 * disk, which pivot_root(2) refuses to replace. What is below it can be reached by no path. The kernel still knows of it,
 * and would let a user namespace in the container have a whole procfs for the one that it sees there: so none stays that
 * is not covered (runc's `msMoveRoot`).
 * @param kernelMounts where the host has procfs and sysfs, those that lie on others first
 */
export function addMoveSteps(builder: PlanBuilder, kernelMounts: readonly string[]): void {
  addEntrance(builder);
  for (const path of kernelMounts) {
    builder.add({
      label: `Let go of the host's ${path}`,
      group,
      syscall: "umount2",
      args: [path, MNT_DETACH],
      path,
      // In a user namespace of its own the process may not uncover what is below.
      onError: { tolerate: ["EINVAL", "EPERM"] },
      onSuccess: { skip: 1 },
    });
    builder.add({
      label: `Cover the host's ${path}`,
      group,
      syscall: "mount",
      args: ["tmpfs", path, "tmpfs", MS_RDONLY, 0],
      path,
    });
  }
  builder.add({
    label: "Move it over the root of all paths",
    group,
    syscall: "move_mount",
    args: [builder.root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH],
    path: "/",
    // It is there already: see addTakenRoot.
    onError: { tolerate: ["ELOOP"] },
  });
  builder.add({ label: "Make it the root of all paths", group, syscall: "chroot", args: ["."] });
  builder.add({ label: "Start at /", group, syscall: "chdir", args: ["/"] });
}

/** Of a container that has the host's mounts: the root is the process's alone. chroot(2) */
export function addChrootSteps(builder: PlanBuilder): void {
  addEntrance(builder);
  builder.add({ label: "Make it the root of all paths", group, syscall: "chroot", args: ["."] });
  builder.add({ label: "Start at /", group, syscall: "chdir", args: ["/"] });
}

function addEntrance(builder: PlanBuilder): void {
  builder.add({ label: "Go to the new root", group, syscall: "fchdir", args: [builder.root] });
}

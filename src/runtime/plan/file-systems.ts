import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  F_DUPFD_CLOEXEC,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MS_RDONLY,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  O_DIRECTORY,
  STATX_MODE,
} from "../../linux/constants.ts";
import { fieldOf, type Slot } from "../../linux/launch/plan.ts";
import type { Mount } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import { splitPath } from "../../util/path.ts";
import {
  attributesOf,
  clearedOfBind,
  type MountOptions,
  parseMountOptions,
  type Propagation,
} from "../mount-options.ts";
import { openInRoot, type PlanBuilder } from "./builder.ts";
import { isBind } from "./host-trees.ts";
import type { MadeMounts, MountContext, MountFacts, SealedMount } from "./mount-context.ts";

const group = "file system";

/**
 * Where a mount's target is to be made. A link of the image there must not put the mount among the kernel's own files.
 * What links in volumes do, and change while they are looked at, is dealt with by mounting /proc last.
 * @throws InvalidDocumentError
 */
export function placeOfTarget(destination: string, facts: MountFacts): string {
  const place = facts.resolveTarget(destination);
  if (splitPath(place)[0] !== "proc" || splitPath(destination)[0] === "proc") return place;
  throw new InvalidDocumentError(`cannot mount at ${destination}: the image has a link there that leads to ${place}`, {
    hint: "mounts in /proc could replace what the kernel says; choose another target",
  });
}

/** File systems whose target must be a real directory: a link there would let an image move them aside. */
const pinned = new Set(["proc", "sysfs"]);

function hintsOfPinned(type: string) {
  const hint = `filesystem "${type}" must be mounted on ordinary directory: make one in the image in the link's place`;
  return { ELOOP: hint, ENOTDIR: hint };
}

/**
 * A new file system of the mount's type, at its place.
 * @throws InvalidDocumentError for a mount without a type
 */
export function addFileSystem(
  builder: PlanBuilder,
  mount: Mount,
  destination: string,
  options: MountOptions,
  context: MountContext,
): void {
  const { type } = mount;
  if (type === undefined) throw new InvalidDocumentError(`mounts: the mount at ${destination} needs a type`);
  const label = `Mount ${type} at ${destination}`;
  const slot =
    type === "tmpfs"
      ? newTmpfs(builder, mount, destination, options, context)
      : newOfType(builder, { ...mount, type }, destination, options, label);
  addPropagations(builder, destination, slot, options.propagations);
  const target = pinned.has(type)
    ? builder.openTarget(group, destination, "directory", { noSymlinks: true, hints: hintsOfPinned(type) })
    : openDirectoryTarget(builder, destination, context.facts, context.made);
  builder.mount(label, group, slot, target, destination);
  context.mounted.set(mount, slot);
  context.made.set(destination, { type, mount: slot, isFilled: options.copyUp === true });
}

/** Whether fsconfig(2) takes no such option: more than 255 bytes. */
function isLong(option: string): boolean {
  return Buffer.byteLength(option.slice(option.indexOf("=") + 1)) > 255;
}

function newOfType(
  builder: PlanBuilder,
  mount: TypedMount,
  destination: string,
  options: MountOptions,
  label: string,
): Slot {
  if (options.data.some(isLong)) return newByOldCall(builder, mount, destination, options);
  return builder.newFileSystem({
    label,
    group,
    type: mount.type,
    source: mount.source,
    options: isReadOnly(options) ? [...options.data, "ro"] : options.data,
    attributes: attributesOf(options),
  });
}

type TypedMount = Mount & { readonly type: string };

/**
 * By mount(2), whose options have a page together: the directories of an overlay need more than fsconfig(2) takes. It
 * takes a path, and what lies at a path of the container's may be another thing a moment later: so the path is one in a
 * file system of the plan's own, over the root directory meanwhile, and what goes on from there is a copy that is nowhere.
 */
function newByOldCall(
  builder: PlanBuilder,
  { type, source }: TypedMount,
  destination: string,
  options: MountOptions,
): Slot {
  const path = destination;
  const staging = builder.newFileSystem({
    label: `A place to mount ${type} at`,
    group,
    type: "tmpfs",
    source: "tmpfs",
    options: ["mode=755", "nr_blocks=1", "nr_inodes=2"],
    attributes: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
  });
  builder.add({
    label: "Make a mount point in it",
    group,
    syscall: "mkdirat",
    args: [staging, stagingName, 0o755],
    path,
  });
  builder.attach("Mount the place where no path leads to it", group, staging, builder.root, path);
  builder.add({ label: "Go there", group, syscall: "fchdir", args: [staging] });
  builder.add({
    label: `Mount ${type} there`,
    group,
    syscall: "mount",
    args: [source ?? type, stagingName, type, isReadOnly(options) ? MS_RDONLY : 0, options.data.join(",")],
    path,
  });
  const mount = builder.addFor(`${type} mount`, {
    label: "Take it",
    group,
    syscall: "open_tree",
    args: [staging, stagingName, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC],
    path,
  });
  builder.detach(group, staging, "the place");
  addAttributes(builder, destination, mount, options);
  return mount;
}

const stagingName = "mount";

function isReadOnly(options: MountOptions): boolean {
  return (attributesOf(options) & MOUNT_ATTR_RDONLY) !== 0;
}

/**
 * A tmpfs. Without a mode of its own it has that of the directory that it covers, as runc and crun have it, and 1777 where
 * there is none. One that is to be read-only becomes so at last: devices, and places for later mounts, are made in it.
 */
function newTmpfs(
  builder: PlanBuilder,
  mount: Mount,
  destination: string,
  options: MountOptions,
  context: MountContext,
): Slot {
  const slot =
    options.copyUp === true && hasContent(mount, destination, context)
      ? takeFilled(builder, mount, destination, context)
      : emptyTmpfs(builder, mount, destination, options, context);
  if (isReadOnly(options)) context.sealed.push({ destination, mount: slot });
  return slot;
}

function emptyTmpfs(
  builder: PlanBuilder,
  mount: Mount,
  destination: string,
  options: MountOptions,
  context: MountContext,
): Slot {
  const data = [...options.data];
  const hasMode = data.some((option) => option.startsWith("mode="));
  const isKnown = !hasMode && coveringMount(mount, destination, context) === undefined;
  const mode = isKnown ? context.facts.modeAt(destination) : undefined;
  if (mode !== undefined) data.push(`mode=${mode.toString(8)}`);
  const slot = builder.newFileSystem({
    label: `Mount tmpfs at ${destination}`,
    group,
    type: "tmpfs",
    source: mount.source,
    options: data,
    attributes: attributesOf(options) & ~MOUNT_ATTR_RDONLY,
  });
  if (!hasMode && mode === undefined) addModeOfPlace(builder, destination, slot);
  return slot;
}

/**
 * Whether `tmpcopyup` copies anything, which then is what the root directory has: an earlier mount that has brought the
 * place may be such a copy itself, or a tmpfs in which there is nothing yet. podman makes /run and /run/lock so.
 * @throws InvalidDocumentError another mount has brought it, of which nothing is known before
 */
function hasContent(mount: Mount, destination: string, context: MountContext): boolean {
  const covering = coveringMount(mount, destination, context);
  if (covering === undefined) return true;
  const options = parseMountOptions(covering.options ?? []);
  if (covering.type === "tmpfs" && !isBind(covering, options)) {
    return options.copyUp === true && hasContent(covering, covering.destination, context);
  }
  throw new InvalidDocumentError(`mounts: tmpcopyup cannot copy what an earlier mount has brought at ${destination}`);
}

/**
 * A tmpfs that was filled before, see `prepareMounts`.
 * @throws InvalidDocumentError what it is to be filled with was not there to be copied
 */
function takeFilled(builder: PlanBuilder, mount: Mount, destination: string, context: MountContext): Slot {
  const descriptor = context.facts.prepared?.filled.get(mount);
  const refusal = (what: string) => new InvalidDocumentError(`mounts: tmpcopyup cannot copy ${what} at ${destination}`);
  // The container's devices come into it.
  if (destination === "/dev") throw refusal("all that is");
  if (descriptor === undefined) throw refusal("here what is");
  return builder.addFor("filled tmpfs", {
    label: `Take the tmpfs that was filled for ${destination}`,
    group,
    syscall: "fcntl",
    args: [descriptor, F_DUPFD_CLOEXEC, 3],
    path: destination,
  });
}

/** The earlier mount that has brought what is at a mount's place, as far as the image's links tell. */
function coveringMount(mount: Mount, destination: string, { order, facts }: MountContext): Mount | undefined {
  const place = facts.resolveTarget(destination);
  return order.slice(0, order.indexOf(mount)).findLast((earlier) => {
    if (earlier.options?.includes("remount") === true) return false;
    const names = splitPath(facts.resolveTarget(earlier.destination));
    return `${place}/`.startsWith(`/${names.map((name) => `${name}/`).join("")}`);
  });
}

const statxSize = 256;
const offsetOfMode = 28;

function addModeOfPlace(builder: PlanBuilder, destination: string, mount: Slot): void {
  const place = builder.addFor(`directory at ${destination}`, {
    label: `Look for a directory at ${destination}`,
    group,
    syscall: "openat2",
    args: openInRoot(builder.root, splitPath(destination).join("/") || ".", O_DIRECTORY),
    onError: { tolerate: ["ENOENT"], skip: 2 },
    path: destination,
  });
  const found = new Uint8Array(statxSize);
  builder.add({
    label: "Look up its mode",
    group,
    syscall: "statx",
    args: [place, "", AT_EMPTY_PATH, STATX_MODE, found],
    path: destination,
  });
  builder.add({
    label: "Give the tmpfs the same",
    group,
    syscall: "fchmodat",
    args: [mount, ".", fieldOf("its mode", found, offsetOfMode)],
    path: destination,
  });
}

/** Makes those mounts read-only that are to be. */
export function sealMounts(builder: PlanBuilder, sealed: readonly SealedMount[]): void {
  for (const { destination, mount } of sealed) {
    builder.setMountAttributes({ label: `Make ${destination} read-only`, group, mount, set: MOUNT_ATTR_RDONLY });
  }
}

/** The directory of a mount point; where the plan knows more of the place than its path, with fewer steps. */
export function openDirectoryTarget(
  builder: PlanBuilder,
  destination: string,
  facts: MountFacts,
  made: MadeMounts,
): Slot {
  const parts = splitPath(destination);
  const name = parts.pop() ?? "";
  const parent = made.get(`/${parts.join("/")}`);
  if (parent?.type === "tmpfs" && parent.isFilled !== true && name !== "")
    return builder.makeDirectoryIn(group, parent.mount, name, destination);
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

export function addPropagations(
  builder: PlanBuilder,
  destination: string,
  mount: Slot,
  propagations: readonly Propagation[],
): void {
  for (const { type, recursive } of propagations) {
    builder.setMountAttributes({
      label: `Set how mounts below ${destination} spread`,
      group,
      mount,
      propagation: type,
      flags: recursive ? AT_RECURSIVE : 0,
    });
  }
}

/**
 * Gives a bind mount the attributes that its options name instead of its source's. mount_setattr(2)
 *
 * What the host has locked for a less privileged mount namespace can only be kept: the first step fails then, and changes
 * nothing.
 */
export function addBindAttributes(builder: PlanBuilder, destination: string, mount: Slot, options: MountOptions): void {
  const { all, ifLocked } = clearedOfBind(options);
  if (all !== ifLocked) {
    builder.setMountAttributes({
      label: `Give ${destination} the attributes of its options alone`,
      group,
      mount,
      set: options.set,
      clear: all,
      onError: { tolerate: ["EPERM"] },
      onSuccess: { skip: 1 },
    });
  }
  addAttributes(builder, destination, mount, { ...options, clear: ifLocked });
}

const hintsOfLocked = { EPERM: "a mount of a less privileged namespace keeps its restrictions" };

/**
 * Changes a mount's attributes as its options say; what they do not name stays as it is, and so does what is locked.
 * mount_setattr(2)
 */
export function addAttributes(builder: PlanBuilder, destination: string, mount: Slot, options: MountOptions): void {
  if (options.set !== 0 || options.clear !== 0) {
    builder.setMountAttributes({
      label: `Set the attributes of ${destination}`,
      group,
      mount,
      set: options.set,
      clear: options.clear,
      hints: hintsOfLocked,
    });
  }
  if (options.recursiveSet !== 0 || options.recursiveClear !== 0) {
    builder.setMountAttributes({
      label: `Set the attributes of ${destination} and of all below`,
      group,
      mount,
      set: options.recursiveSet,
      clear: options.recursiveClear,
      flags: AT_RECURSIVE,
      hints: hintsOfLocked,
    });
  }
}

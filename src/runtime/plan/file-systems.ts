import { AT_RECURSIVE, MOUNT_ATTR_RDONLY } from "../../linux/constants.ts";
import type { Slot } from "../../linux/launch/plan.ts";
import type { Mount } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import { splitPath } from "../../util/path.ts";
import type { MountOptions } from "../mount-options.ts";
import type { PlanBuilder } from "./builder.ts";
import type { MadeMounts, MountFacts } from "./mount-context.ts";

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

export function addFileSystem(
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
    ? builder.openTarget(group, destination, "directory", { noSymlinks: true, hints: hintsOfPinned(type) })
    : openDirectoryTarget(builder, destination, facts, made);
  builder.attach(label, group, slot, target, destination);
  made.set(destination, { type, mount: slot });
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

export function addPropagation(builder: PlanBuilder, destination: string, mount: Slot, options: MountOptions): void {
  builder.setMountAttributes({
    label: `Set how mounts below ${destination} spread`,
    group,
    mount,
    propagation: options.propagation,
    flags: options.recursivePropagation ? AT_RECURSIVE : 0,
  });
}

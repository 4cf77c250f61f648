import { MOUNT_ATTR_RDONLY, MS_PRIVATE } from "../../linux/constants.ts";
import type { Slot } from "../../linux/launch/plan.ts";
import type { Mount } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { CgroupView } from "../cgroup/cgroup.ts";
import { attributesOf, type MountOptions } from "../mount-options.ts";
import type { PlanBuilder } from "./builder.ts";
import { addPropagations, openDirectoryTarget } from "./file-systems.ts";
import { takeCgroup } from "./host-trees.ts";
import type { MountContext } from "./mount-context.ts";

const group = "file system";

/**
 * The cgroups that a container sees. In version 2: its own as the root of all where it has a cgroup namespace, else the
 * host's. In version 1: its own of each hierarchy.
 * @throws InvalidDocumentError for a cgroup2 mount of a host whose controllers are in version 1, without a cgroup namespace
 */
export function addCgroupMount(
  builder: PlanBuilder,
  mount: Mount,
  destination: string,
  options: MountOptions,
  context: MountContext,
): void {
  const view = context.facts.cgroupView;
  if (view !== undefined) context.mounted.set(mount, addView(builder, mount, destination, options, context, view));
}

function addView(
  builder: PlanBuilder,
  mount: Mount,
  destination: string,
  options: MountOptions,
  context: MountContext,
  view: CgroupView,
): Slot {
  const isOwn = context.own.has("cgroup");
  const trees = context.trees.cgroups.get(mount) ?? new Map();
  const take: TakeTree = (source, path) => trees.get(source) ?? takeCgroup(builder, source, path);
  if (view.type === "v1" && mount.type === "cgroup")
    return addHierarchies(builder, destination, options, view, { ...context, take });
  if (isOwn) return addUnified(builder, destination, options, context);
  if (view.type === "v2") return addHostsUnified(builder, destination, options, view.mountPoint, { ...context, take });
  throw new InvalidDocumentError(`mounts: the cgroup2 mount at ${destination} needs a cgroup namespace here`, {
    hint: "a mount of the type cgroup shows the container's cgroups of all hierarchies",
  });
}

/** A directory of the host's cgroups: taken beforehand, or now. */
type TakeTree = (source: string, path: string) => Slot;

interface CgroupContext extends MountContext {
  readonly take: TakeTree;
}

function addUnified(builder: PlanBuilder, destination: string, options: MountOptions, context: MountContext): Slot {
  const label = `Mount cgroup2 at ${destination}`;
  const target = openDirectoryTarget(builder, destination, context.facts, context.made);
  const mount = builder.newFileSystem({
    label,
    group,
    type: "cgroup2",
    source: "cgroup",
    options: options.data,
    attributes: attributesOf(options),
  });
  addPropagations(builder, destination, mount, options.propagations);
  builder.attach(label, group, mount, target, destination);
  return mount;
}

/** A new mount in the host's namespace would take the host's mount options, nsdelegate among them, away. cgroups(7) */
function addHostsUnified(
  builder: PlanBuilder,
  destination: string,
  options: MountOptions,
  mountPoint: string,
  context: CgroupContext,
): Slot {
  if (options.data.length > 0) {
    throw new InvalidDocumentError(
      `mounts: ${options.data.join(",")} at ${destination} would change the host's cgroups`,
      {
        hint: "give the container a cgroup namespace, or leave the option out",
      },
    );
  }
  const target = openDirectoryTarget(builder, destination, context.facts, context.made);
  const tree = context.take(mountPoint, destination);
  addOptions(builder, tree, destination, options);
  builder.attach(`Mount the host's cgroups at ${destination}`, group, tree, target, destination);
  return tree;
}

function addOptions(builder: PlanBuilder, tree: Slot, path: string, options: MountOptions): void {
  const [first, ...rest] = options.propagations;
  builder.setMountAttributes({
    label: `Set the attributes of ${path}`,
    group,
    mount: tree,
    set: attributesOf(options),
    clear: options.clear | options.recursiveClear,
    propagation: first?.type ?? MS_PRIVATE,
  });
  addPropagations(builder, path, tree, rest);
}

/** A tmpfs with a bind of the container's cgroup in each hierarchy. */
function addHierarchies(
  builder: PlanBuilder,
  destination: string,
  options: MountOptions,
  view: CgroupView & { readonly type: "v1" },
  context: CgroupContext,
): Slot {
  const target = openDirectoryTarget(builder, destination, context.facts, context.made);
  const attributes = attributesOf(options);
  const base = builder.newFileSystem({
    label: `Mount tmpfs at ${destination}`,
    group,
    type: "tmpfs",
    source: "tmpfs",
    options: ["mode=755"],
    attributes: attributes & ~MOUNT_ATTR_RDONLY,
  });
  builder.attach(`Mount tmpfs at ${destination}`, group, base, target, destination);
  for (const { name, source } of view.hierarchies) {
    const path = `${destination}/${name}`;
    const tree = context.take(source, path);
    addOptions(builder, tree, path, options);
    const place = builder.makeDirectoryIn(group, base, name, path);
    builder.attach(`Mount it at ${path}`, group, tree, place, path);
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
  addPropagations(builder, destination, base, options.propagations);
  if ((attributes & MOUNT_ATTR_RDONLY) === 0) return base;
  builder.setMountAttributes({ label: `Make ${destination} read-only`, group, mount: base, set: MOUNT_ATTR_RDONLY });
  return base;
}

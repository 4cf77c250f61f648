import {
  AT_FDCWD,
  AT_RECURSIVE,
  MOUNT_ATTR_IDMAP,
  MS_PRIVATE,
  MS_SHARED,
  MS_SLAVE,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from "../../linux/constants.ts";
import type { Slot } from "../../linux/launch/plan.ts";
import type { Mount } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import { splitPath } from "../../util/path.ts";
import { hasMappings, type MountOptions, needsPreparation, parseMountOptions } from "../mount-options.ts";
import { hintOfProc, replaceableInProc } from "../proc-mounts.ts";
import type { PlanBuilder } from "./builder.ts";
import { addCgroupMount } from "./cgroup-mounts.ts";
import { addAttributes, addFileSystem, addPropagations, placeOfTarget } from "./file-systems.ts";
import { addRemount } from "./remounts.ts";
import type { BindSources, MountContext, MountFacts } from "./mount-context.ts";

const group = "file system";

/** Whether a mount is the one at /proc or, by its name, in there. */
export function isInProc(mount: Mount): boolean {
  return splitPath(mount.destination)[0] === "proc";
}

/**
 * Takes the sources of those bind mounts that are to have to do with the host's mounts, before the container's are cut
 * off from them: copies share what their originals share. mount_namespaces(7)
 * @param isCutOff nothing that the host mounts later comes to the container either
 */
export function takeSharedSources(builder: PlanBuilder, mounts: readonly Mount[], isCutOff: boolean): BindSources {
  const taken = new Map<Mount, Slot>();
  for (const mount of mounts) {
    const options = parseMountOptions(mount.options ?? []);
    if (options.remount === true || !isBind(mount, options)) continue;
    if (options.propagations.some(({ type }) => type === MS_SHARED || (isCutOff && type === MS_SLAVE))) {
      taken.set(mount, takeSource(builder, mount, options));
    }
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

/**
 * The mounts of the specification, in its order. Sources are taken while the host's root is still there; targets are
 * found below the container's root.
 * @throws InvalidDocumentError for a mount that breaks the specification's rules
 */
export function addMounts(builder: PlanBuilder, mounts: readonly Mount[], context: MountContext): void {
  const { facts } = context;
  mounts.forEach((mount, index) => {
    if (!mount.destination.startsWith("/")) {
      throw new InvalidDocumentError(`mounts[${index}].destination: ${mount.destination} is not absolute`);
    }
    const destination = `/${splitPath(mount.destination).join("/")}`;
    const options = parseMountOptions(mount.options ?? []);
    if (options.remount === true) {
      addRemount(builder, destination, options, context);
      return;
    }
    if (needsPreparation(mount)) refuseUnfit(mount, destination, options);
    if (isInProc(mount)) refuseInProc(mount, destination, isBind(mount, options), facts);
    if (mount.type === "cgroup" || mount.type === "cgroup2") {
      addCgroupMount(builder, mount, destination, options, context);
    } else if (isBind(mount, options)) {
      addBind(builder, { mount, destination, options, context });
    } else addFileSystem(builder, mount, destination, options, context);
  });
}

/**
 * Anything else at /proc or in it would let who made the mount's source answer for the kernel: gocker writes settings
 * there, and programs believe what they read (CVE-2019-16884, CVE-2025-52881). runc, checkProcMount
 */
function refuseInProc(mount: Mount, destination: string, isOfHost: boolean, facts: MountFacts): void {
  if (destination === "/proc") {
    if (!isOfHost && mount.type === "proc") return;
    if (isOfHost && mount.source !== undefined && facts.isProcfs(mount.source)) return;
  } else if (isOfHost && replaceableInProc.has(destination)) return;
  throw new InvalidDocumentError(`mounts: cannot mount at ${destination}: what /proc says is the kernel's to say`, {
    hint: destination === "/proc" ? "only a procfs can be mounted there" : hintOfProc,
  });
}

/** Refuses options that would have no effect. */
function refuseUnfit(mount: Mount, destination: string, options: MountOptions): void {
  const isOfHost = isBind(mount, options);
  const isTmpfs = !isOfHost && mount.type === "tmpfs";
  if (options.copyUp === true && !isTmpfs) {
    throw new InvalidDocumentError(`mounts: only a tmpfs can have tmpcopyup, and that at ${destination} is none`);
  }
  if (isOfHost || (options.idMap === undefined && !hasMappings(mount))) return;
  throw new InvalidDocumentError(
    `mounts: only a bind mount can change the owners of files, and that at ${destination} is none`,
  );
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
  addIdMap(builder, mount, destination, tree, options, facts);
  const isolated = [{ type: MS_PRIVATE, recursive: true }];
  addPropagations(builder, destination, tree, options.propagations.length === 0 ? isolated : options.propagations);
  // A clone keeps what its source has, and what the host locked.
  addAttributes(builder, destination, tree, options);
  const place = isInProc(mount) ? { noSymlinks: true } : { createAt: placeOfTarget(destination, facts) };
  const kind = facts.sourceKind(source);
  const target =
    kind === undefined
      ? builder.openTargetFor(group, tree, destination, place)
      : builder.openTarget(group, destination, kind, place);
  builder.mount(`Mount ${source} at ${destination}`, group, tree, target, destination);
}

/**
 * Gives a mount the owners of its mappings' user namespace, while it is nowhere yet: afterwards the kernel refuses that.
 * mount_setattr(2), Linux 5.12
 */
function addIdMap(
  builder: PlanBuilder,
  mount: Mount,
  destination: string,
  tree: Slot,
  { idMap }: MountOptions,
  { prepared }: MountFacts,
): void {
  if (idMap === undefined && !hasMappings(mount)) return;
  const userNamespace = prepared?.userNamespaces.get(mount);
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

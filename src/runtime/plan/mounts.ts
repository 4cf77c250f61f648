import { MS_PRIVATE } from "../../linux/constants.ts";
import type { Mount } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import { splitPath } from "../../util/path.ts";
import { hasMappings, type MountOptions, needsPreparation, parseMountOptions } from "../mount-options.ts";
import { hintOfProc, replaceableInProc } from "../proc-mounts.ts";
import type { PlanBuilder } from "./builder.ts";
import { addCgroupMount } from "./cgroup-mounts.ts";
import { addBindAttributes, addFileSystem, addPropagations, placeOfTarget } from "./file-systems.ts";
import { addRemount } from "./remounts.ts";
import { isBind, retake, takeGiven, takeSource } from "./host-trees.ts";
import { forgetCovered, type MountContext, type MountFacts } from "./mount-context.ts";

const group = "file system";

/**
 * The order in which mounts are made: the specification's. But where one has its place in what another has brought, whose
 * links others may change meanwhile, those at /proc come last: what a link leads to /proc ends up below it and is hidden,
 * instead of putting its own files in the place of the kernel's (CVE-2025-52881). Of links that are the image's own it is
 * known beforehand where they lead.
 */
export function orderOfMounts(mounts: readonly Mount[], facts: MountFacts): readonly Mount[] {
  const brought: string[] = [];
  const isAtRisk = mounts.some((mount) => {
    const brings = isFromOutside(mount);
    if (brought.length === 0 && !brings) return false;
    const place = `${facts.resolveTarget(mount.destination).replace(/\/+$/, "")}/`;
    const isWithin = brought.some((earlier) => place !== earlier && place.startsWith(earlier));
    if (brings) brought.push(place);
    return isWithin && !isInProc(mount);
  });
  return isAtRisk ? [...mounts.filter((mount) => !isInProc(mount)), ...mounts.filter(isInProc)] : mounts;
}

/** File systems that are empty, or the kernel's, when they are new: nobody has put a link there. */
const withoutLinks = new Set(["tmpfs", "proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2"]);

/** Whether there may be links in a mount that neither the image nor the kernel has made. */
function isFromOutside(mount: Mount): boolean {
  const options = parseMountOptions(mount.options ?? []);
  if (options.remount === true) return false;
  return isBind(mount, options) || options.copyUp === true || !withoutLinks.has(mount.type ?? "");
}

/** Whether a mount is the one at /proc or, by its name, in there. */
function isInProc(mount: Mount): boolean {
  return splitPath(mount.destination)[0] === "proc";
}

/**
 * The mounts of the specification, in its order. Sources are taken while the host's root is still there; targets are
 * found below the container's root.
 * @throws InvalidDocumentError for a mount that breaks the specification's rules
 */
export function addMounts(builder: PlanBuilder, mounts: readonly Mount[], context: MountContext): void {
  for (const mount of mounts) {
    const property = `mounts[${context.given.indexOf(mount)}]`;
    if (!mount.destination.startsWith("/")) {
      throw new InvalidDocumentError(`${property}.destination: ${mount.destination} is not absolute`);
    }
    builder.about(property, () => addMount(builder, mount, context));
  }
}

function addMount(builder: PlanBuilder, mount: Mount, context: MountContext): void {
  const destination = `/${splitPath(mount.destination).join("/")}`;
  const options = parseMountOptions(mount.options ?? []);
  if (options.remount === true) {
    addRemount(builder, mount, destination, options, context);
    return;
  }
  forgetCovered(context.made, destination);
  if (needsPreparation(mount)) refuseUnfit(mount, destination, options);
  if (isInProc(mount)) refuseInProc(mount, destination, isBind(mount, options), context.facts);
  if (mount.type === "cgroup" || mount.type === "cgroup2") {
    addCgroupMount(builder, mount, destination, options, context);
  } else if (isBind(mount, options)) {
    addBind(builder, { mount, destination, options, context });
  } else addFileSystem(builder, mount, destination, options, context);
}

/**
 * Anything else at /proc or in it would let who made the mount's source answer for the kernel: gocker writes settings
 * there, and programs believe what they read (CVE-2019-16884, CVE-2025-52881). runc, checkProcMount
 */
function refuseInProc(mount: Mount, destination: string, isOfHost: boolean, facts: MountFacts): void {
  if (destination === "/proc") {
    if (!isOfHost && mount.type === "proc") return;
    if (isOfHost && isProcfsOfHost(mount, facts)) return;
  } else if (isOfHost && replaceableInProc.has(destination)) return;
  throw new InvalidDocumentError(`mounts: cannot mount at ${destination}: what /proc says is the kernel's to say`, {
    hint: destination === "/proc" ? "only a procfs can be mounted there" : hintOfProc,
  });
}

/** What lies in the container's root directory may be another thing when its turn comes. */
function isProcfsOfHost({ source }: Mount, facts: MountFacts): boolean {
  return source !== undefined && facts.placeInRoot(source) === undefined && facts.isProcfs(source);
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
  const { facts, trees } = context;
  const taken = trees.binds.get(mount);
  const given = facts.prepared?.trees.get(mount);
  const tree =
    taken !== undefined
      ? retake(builder, taken, mount, options)
      : given !== undefined
        ? takeGiven(builder, mount, given)
        : takeSource(builder, mount, options, facts, () => builder.root);
  const source = mount.source as string;
  const isolated = [{ type: MS_PRIVATE, recursive: true }];
  addPropagations(builder, destination, tree, options.propagations.length === 0 ? isolated : options.propagations);
  addBindAttributes(builder, destination, tree, options);
  const createAt = isInProc(mount) ? destination : placeOfTarget(destination, facts);
  const place = isInProc(mount) ? { noSymlinks: true } : { createAt };
  const target =
    given === undefined && facts.placeInRoot(source) !== undefined
      ? builder.openTargetFor(group, tree, destination, place)
      : builder.openTarget(group, destination, given === undefined ? facts.sourceKind(source) : "directory", place);
  builder.mount(`Mount ${source} at ${destination}`, group, tree, target, destination);
  context.mounted.set(mount, tree);
  if (createAt !== destination) forgetCovered(context.made, createAt);
}

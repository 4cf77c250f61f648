import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_WRONLY,
  S_IFCHR,
  SECCOMP_SET_MODE_FILTER,
} from "../../linux/constants.ts";
import { makeDevice } from "../../linux/device-number.ts";
import { slot, words, type Slot } from "../../linux/launch/plan.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { SeccompFilter } from "../seccomp/compile.ts";
import { notifies } from "../seccomp/listener.ts";
import { openBeneath, openInRoot, type PlanBuilder } from "./builder.ts";
import { addListenerHandover } from "./seccomp-listener.ts";

const group = "security";

/** The paths of a property, each once: a second cover over the first would show in /proc/mounts, and change nothing. */
function distinct(paths: readonly string[], property: string): string[] {
  const places = paths.map((path) => {
    if (!path.startsWith("/")) throw new InvalidDocumentError(`${property}: ${path} is not absolute`);
    return `/${path.split("/").filter(isName).join("/")}`;
  });
  return [...new Set(places)];
}

/** `..` stays: with links about, it is the kernel's business. */
function isName(part: string): boolean {
  return part !== "" && part !== ".";
}

/** What a path is; "unknown" for one that only the running plan can tell of. */
export type PathKinds = (path: string) => "directory" | "file" | "missing" | "unknown";

/** `linux.readonlyPaths`: each is bound over itself, read-only. Paths that do not exist are left alone. */
export function addReadonlyPaths(builder: PlanBuilder, paths: readonly string[], kinds: PathKinds): void {
  for (const path of distinct(paths, "linux.readonlyPaths")) {
    if (kinds(path) === "missing") continue;
    const place = builder.addFor(path, {
      label: `Find ${path}, to make it read-only`,
      group,
      syscall: "openat2",
      args: openInRoot(builder.root, path.slice(1) || ".", 0),
      onError: { tolerate: ["ENOENT", "ENOTDIR"], skip: 3 },
      path,
    });
    const tree = builder.addFor(`${path} again`, {
      label: `Take a second mount of ${path}`,
      group,
      syscall: "open_tree",
      args: [place, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE],
      path,
    });
    builder.setMountAttributes({
      label: `Make it read-only`,
      group,
      mount: tree,
      set: MOUNT_ATTR_RDONLY,
      flags: AT_RECURSIVE,
    });
    builder.attach(`Cover ${path} with it`, group, tree, place, path);
  }
}

/**
 * `linux.maskedPaths`: a directory is covered by an empty read-only one, anything else by a null device. The places are
 * found below the container's root and the covers are made from descriptors, so that a link in the place of either leads
 * nowhere (CVE-2025-31133). After pivot_root.
 * @param hostNull a mount of the host's null device, in a user namespace, where none can be made
 */
export function addMaskedPaths(
  builder: PlanBuilder,
  paths: readonly string[],
  kinds: PathKinds,
  hostNull?: Slot,
): void {
  const present = distinct(paths, "linux.maskedPaths").filter((path) => kinds(path) !== "missing");
  if (present.length === 0) return;
  const { mount, directory, device } = addCovers(builder, hostNull);
  for (const path of present) {
    const kind = kinds(path);
    const isCertain = kind !== "unknown";
    // A directory's mask leaves out the steps of a file's, which come next.
    if (kind !== "file") addMask(builder, path, { kind: "directory", source: directory, isCertain });
    if (kind !== "directory") addMask(builder, path, { kind: "file", source: device, isCertain });
  }
  builder.detach(group, mount, "the covers");
}

/**
 * What masks are copies of, made here so that nothing in the image, in a volume or at /dev plays a part. Until Linux
 * 6.15, copies can only be taken of mounts that are in the tree: so it is mounted over the root directory meanwhile, where
 * no path leads to it.
 */
function addCovers(builder: PlanBuilder, hostNull: Slot | undefined): { mount: Slot; directory: Slot; device: Slot } {
  const mount = builder.newFileSystem({
    label: "Covers to mask with",
    group,
    type: "tmpfs",
    source: "tmpfs",
    options: [],
    attributes: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
  });
  const directory = builder.makeDirectoryIn(group, mount, "empty", "empty");
  const place = hostNull === undefined ? undefined : addPlaceOfNull(builder, mount);
  if (place === undefined) addNullDevice(builder, mount);
  builder.setMountAttributes({ label: "Make the covers read-only", group, mount, set: MOUNT_ATTR_RDONLY });
  builder.attach("Mount them where copies can be taken", group, mount, builder.root, "/");
  if (hostNull !== undefined && place !== undefined) {
    builder.attach("Mount the host's null device among them", group, hostNull, place, "/dev/null");
  }
  const device = builder.addFor("null device", {
    label: "Open the null device",
    group,
    syscall: "openat",
    args: [mount, "null", O_PATH | O_NOFOLLOW | O_CLOEXEC],
  });
  return { mount, directory, device };
}

function addNullDevice(builder: PlanBuilder, mount: Slot): void {
  builder.add({
    label: "Make a null device",
    group,
    syscall: "mknodat",
    args: [mount, "null", S_IFCHR | 0o666, makeDevice(1, 3)],
  });
}

function addPlaceOfNull(builder: PlanBuilder, mount: Slot): Slot {
  return builder.addFor("place of null", {
    label: "Make a place for the host's null device",
    group,
    syscall: "openat",
    args: [mount, "null", O_CREAT | O_CLOEXEC, 0o600],
  });
}

interface Mask {
  readonly kind: "directory" | "file";
  /** What to cover the path with a copy of. */
  readonly source: Slot;
  /** It is known beforehand what the path leads to. */
  readonly isCertain: boolean;
}

const stepsOfMask = 3;

function addMask(builder: PlanBuilder, path: string, { kind, source, isCertain }: Mask): void {
  const place = builder.addFor(path, {
    label: `Find the ${kind} ${path}, to mask it`,
    group,
    syscall: "openat2",
    args: openInRoot(builder.root, path.slice(1) || ".", kind === "directory" ? O_DIRECTORY : 0),
    // What was known to be a directory must not stay uncovered because it is none.
    onError: { tolerate: isCertain ? ["ENOENT"] : ["ENOENT", "ENOTDIR", "EACCES"], skip: 2 },
    path,
  });
  const cover = builder.addFor(`cover of ${path}`, {
    label: kind === "directory" ? "Copy the empty directory" : "Copy the null device",
    group,
    syscall: "open_tree",
    args: [source, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC],
    path,
  });
  builder.add({
    label: `Mask the ${kind} ${path}`,
    group,
    syscall: "move_mount",
    args: [cover, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH],
    ...(!isCertain && kind === "directory" && { onSuccess: { skip: stepsOfMask } }),
    path,
  });
}

/**
 * `linux.sysctl`, written through the procfs that the plan itself mounted, before any of it becomes read-only: what
 * lies at /proc or in it by then plays no part (CVE-2025-52881). sysctl(8): dots separate, unless there are slashes.
 */
export function addSysctls(
  builder: PlanBuilder,
  sysctls: Readonly<Record<string, string>>,
  proc: Slot | undefined,
): void {
  for (const [name, value] of Object.entries(sysctls)) {
    if (proc === undefined) throw new InvalidDocumentError(`linux.sysctl: ${name} needs a proc mount at /proc`);
    const path = `sys/${name.includes("/") ? name : name.replaceAll(".", "/")}`;
    if (path.split("/").includes("..")) throw new InvalidDocumentError(`linux.sysctl: ${name} is no name of a setting`);
    const file = builder.addFor(name, {
      label: `Open the kernel setting ${name}`,
      group: "namespaces",
      syscall: "openat2",
      args: openBeneath(proc, path, O_WRONLY),
      path: `/proc/${path}`,
    });
    const bytes = Buffer.from(value);
    builder.add({
      label: `Set ${name} to ${value}`,
      group: "namespaces",
      syscall: "write",
      args: [file, bytes, bytes.length],
      path: `/proc/${path}`,
    });
  }
}

/**
 * Puts the filter in force. seccomp(2)
 * @param release the reading end of a pipe; only needed for a filter that notifies, see `addListenerHandover`
 * @throws InvalidDocumentError it is needed and not there
 */
export function addSeccomp(builder: PlanBuilder, filter: SeccompFilter, release?: number): void {
  const listener = notifies(filter) ? slot("listener") : undefined;
  builder.add({
    label: `Allow only known system calls (${filter.program.length / 8} instructions)`,
    group,
    syscall: "seccomp",
    args: [SECCOMP_SET_MODE_FILTER, filter.flags, words(filter.program.length / 8, filter.program)],
    ...(listener !== undefined && { result: listener }),
  });
  if (listener !== undefined) addListenerHandover(builder, listener, release);
}

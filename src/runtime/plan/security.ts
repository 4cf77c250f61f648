import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  O_CLOEXEC,
  O_DIRECTORY,
  O_WRONLY,
  SECCOMP_SET_MODE_FILTER,
} from "../../linux/constants.ts";
import { words, type Slot } from "../../linux/launch/plan.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { SeccompFilter } from "../seccomp/compile.ts";
import { openInRoot, type PlanBuilder } from "./builder.ts";

const group = "security";

function relative(path: string, property: string): string {
  if (!path.startsWith("/")) throw new InvalidDocumentError(`${property}: ${path} is not absolute`);
  return path.slice(1) || ".";
}

/** `linux.readonlyPaths`: each is bound over itself, read-only. Paths that do not exist are left alone. */
export function addReadonlyPaths(builder: PlanBuilder, paths: readonly string[]): void {
  for (const path of paths) {
    const place = builder.addFor(path, {
      label: `Find ${path}, to make it read-only`,
      group,
      syscall: "openat2",
      args: openInRoot(builder.root, relative(path, "linux.readonlyPaths"), 0),
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
 * `linux.maskedPaths`: a directory is covered by an empty read-only file system, anything else by the null device. The
 * places are found below the container's root and the covers are made from descriptors, so that a link in the place of
 * either leads nowhere (CVE-2025-31133).
 */
export function addMaskedPaths(builder: PlanBuilder, paths: readonly string[], nullDevice: () => Slot): void {
  if (paths.length === 0) return;
  const device = nullDevice();
  const empty = builder.newFileSystem({
    label: "An empty directory to mask with",
    group,
    type: "tmpfs",
    source: "tmpfs",
    options: ["nr_blocks=1", "nr_inodes=1", "ro"],
    attributes: MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
  });
  for (const path of paths) addMask(builder, path, device, empty);
}

function addMask(builder: PlanBuilder, path: string, device: Slot, empty: Slot): void {
  const name = relative(path, "linux.maskedPaths");
  const coverOf = (label: string, source: Slot) =>
    builder.addFor(`cover of ${path}`, {
      label,
      group,
      syscall: "open_tree",
      args: [source, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC],
      path,
    });
  const directory = builder.addFor(path, {
    label: `Find ${path}, to mask it`,
    group,
    syscall: "openat2",
    args: openInRoot(builder.root, name, O_DIRECTORY),
    onError: { tolerate: ["ENOENT", "ENOTDIR", "EACCES"], skip: 2 },
    path,
  });
  const directoryCover = coverOf("Take the empty directory", empty);
  builder.add({
    label: `Mask the directory ${path}`,
    group,
    syscall: "move_mount",
    args: [directoryCover, "", directory, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH],
    onSuccess: { skip: 3 },
    path,
  });
  const file = builder.addFor(path, {
    label: `Find the file ${path}, to mask it`,
    group,
    syscall: "openat2",
    args: openInRoot(builder.root, name, 0),
    onError: { tolerate: ["ENOENT", "ENOTDIR", "EACCES"], skip: 2 },
    path,
  });
  const fileCover = coverOf("Take the null device", device);
  builder.attach(`Mask the file ${path}`, group, fileCover, file, path);
}

/**
 * `linux.sysctl`, written through the procfs that the plan itself mounted, before any of it becomes read-only: what
 * lies at /proc by then plays no part (CVE-2025-52881). sysctl(8): dots separate, unless there are slashes.
 */
export function addSysctls(builder: PlanBuilder, sysctls: Readonly<Record<string, string>>, proc: Slot | undefined): void {
  for (const [name, value] of Object.entries(sysctls)) {
    if (proc === undefined) throw new InvalidDocumentError(`linux.sysctl: ${name} needs a proc mount at /proc`);
    const path = `sys/${name.includes("/") ? name : name.replaceAll(".", "/")}`;
    if (path.split("/").includes("..")) throw new InvalidDocumentError(`linux.sysctl: ${name} is no name of a setting`);
    const file = builder.addFor(name, {
      label: `Open the kernel setting ${name}`,
      group: "namespaces",
      syscall: "openat",
      args: [proc, path, O_WRONLY | O_CLOEXEC],
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

/** Puts the filter in force. seccomp(2) */
export function addSeccomp(builder: PlanBuilder, filter: SeccompFilter): void {
  builder.add({
    label: `Allow only known system calls (${filter.program.length / 8} instructions)`,
    group,
    syscall: "seccomp",
    args: [SECCOMP_SET_MODE_FILTER, filter.flags, words(filter.program.length / 8, filter.program)],
  });
}

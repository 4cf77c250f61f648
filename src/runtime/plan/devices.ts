import {
  AT_EMPTY_PATH,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_RDWR,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
} from "../../linux/constants.ts";
import { makeDevice } from "../../linux/device-number.ts";
import type { Slot } from "../../linux/launch/plan.ts";
import type { Device } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import { splitPath } from "../../util/path.ts";
import type { HostTrees } from "./host-trees.ts";
import type { PlanBuilder } from "./builder.ts";

const group = "devices";

/** What every container has, whatever the specification says. OCI runtime specification, config-linux.md, "Default Devices" */
export const defaultDevices: readonly Device[] = [
  { path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 0o666 },
  { path: "/dev/zero", type: "c", major: 1, minor: 5, fileMode: 0o666 },
  { path: "/dev/full", type: "c", major: 1, minor: 7, fileMode: 0o666 },
  { path: "/dev/random", type: "c", major: 1, minor: 8, fileMode: 0o666 },
  { path: "/dev/urandom", type: "c", major: 1, minor: 9, fileMode: 0o666 },
  { path: "/dev/tty", type: "c", major: 5, minor: 0, fileMode: 0o666 },
];

/** config-linux.md, "Default Devices" and runtime-linux.md, "Dev symbolic links". */
const links = [
  ["fd", "/proc/self/fd"],
  ["stdin", "/proc/self/fd/0"],
  ["stdout", "/proc/self/fd/1"],
  ["stderr", "/proc/self/fd/2"],
  ["ptmx", "pts/ptmx"],
] as const;

/**
 * Device nodes of the host, by their paths. In a user namespace none can be made, not even by its root, and the host's work
 * only where the mount allows devices. user_namespaces(7)
 */
type HostNodes = HostTrees["devices"];

/** The nodes that a container gets of the host when it cannot make its own: those that all have, and `linux.devices`. */
export function hostDevices(own: readonly Device[]): Device[] {
  const byPath = new Map([...defaultDevices, ...own].map((device) => [device.path, device]));
  return [...byPath.values()].filter(({ type }) => type !== "p");
}

/**
 * Device nodes and links in a /dev that the runtime mounted itself. They are made right after the mount, by name in its
 * directory, so that mounts over single devices find them, and nothing of the image takes part.
 */
export function addDefaultDevices(builder: PlanBuilder, dev: Slot, own: readonly Device[], nodes: HostNodes): void {
  const overridden = new Set(own.map((device) => device.path));
  for (const device of defaultDevices) {
    if (overridden.has(device.path)) continue;
    addDevice(builder, dev, device, device.path.slice("/dev/".length), { nodes, isNew: true });
  }
  for (const [name, target] of links) {
    builder.add({
      label: `Link /dev/${name} to ${target}`,
      group,
      syscall: "symlinkat",
      args: [target, dev, name],
      path: `/dev/${name}`,
    });
  }
}

/** The devices of `linux.devices`, wherever they are. @throws InvalidDocumentError for a device without its numbers */
export function addDevices(
  builder: PlanBuilder,
  devices: readonly Device[],
  dev: Slot | undefined,
  nodes: HostNodes,
): void {
  for (const device of devices) {
    const parts = splitPath(device.path);
    // The link to the container's own devpts is there already, and a host's node would lead to its terminals.
    if (dev !== undefined && parts.join("/") === "dev/ptmx") continue;
    const name = parts.pop();
    if (name === undefined) throw new InvalidDocumentError(`linux.devices: ${device.path} is no place for a device`);
    const inDev = dev !== undefined && parts.length === 1 && parts[0] === "dev";
    const parent = inDev ? dev : builder.openTarget(group, `/${parts.join("/")}`, "directory");
    addDevice(builder, parent, device, name, { nodes, isNew: inDev });
  }
}

function addDevice(
  builder: PlanBuilder,
  parent: Slot,
  device: Device,
  name: string,
  { nodes, isNew }: { readonly nodes: HostNodes; readonly isNew: boolean },
): void {
  const node = nodes?.get(device.path);
  if (node === undefined) addNode(builder, parent, device, name, isNew);
  else addHostNode(builder, parent, device, name, node);
}

/** The host's node of the same path, over a file that is made for it. */
function addHostNode(builder: PlanBuilder, parent: Slot, { path }: Device, name: string, node: Slot): void {
  const file = builder.addFor(`place of ${path}`, {
    label: `Make a place for ${path}`,
    group,
    syscall: "openat",
    args: [parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600],
    path,
  });
  builder.attach(`Mount the host's at ${path}`, group, node, file, path);
}

const types = { c: S_IFCHR, u: S_IFCHR, b: S_IFBLK, p: S_IFIFO } as const;

/** @param isNew the directory is empty; in any other the node may be from an earlier container with the same root */
function addNode(builder: PlanBuilder, parent: Slot, device: Device, name: string, isNew = true): void {
  const { path, type } = device;
  if (type !== "p" && (device.major === undefined || device.minor === undefined)) {
    throw new InvalidDocumentError(`linux.devices: ${path} needs major and minor`);
  }
  const isOwned = (device.uid ?? 0) !== 0 || (device.gid ?? 0) !== 0;
  const number = type === "p" ? 0n : makeDevice(device.major as number, device.minor as number);
  builder.add({
    label: `Make the device ${path}`,
    group,
    syscall: "mknodat",
    // The permissions alone: a mode that holds a file type too would make a device of another one.
    args: [parent, name, types[type] | ((device.fileMode ?? 0o666) & 0o7777), number],
    path,
    // What is there already may be the host's: it stays as it is.
    ...(!isNew && { onError: { tolerate: ["EEXIST"], skip: isOwned ? 1 : 0 } }),
  });
  if (isOwned) {
    builder.add({
      label: `Give ${path} its owner`,
      group,
      syscall: "fchownat",
      args: [parent, name, device.uid ?? 0, device.gid ?? 0, 0x100],
      path,
    });
  }
}

/**
 * /dev/console is the container's own terminal. The file is made anew and never followed, so that what a mount brought
 * to /dev cannot send the terminal elsewhere (CVE-2025-52565).
 * @param terminal the descriptor number of the terminal's container side
 */
export function addConsole(builder: PlanBuilder, dev: Slot, terminal: number): void {
  const path = "/dev/console";
  const file = builder.addFor("console", {
    label: `Make ${path}`,
    group,
    syscall: "openat",
    args: [dev, "console", O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600],
    path,
  });
  const tree = builder.addFor("terminal mount", {
    label: `Take the terminal for ${path}`,
    group,
    syscall: "open_tree",
    args: [terminal, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC],
    path,
  });
  builder.attach(`Mount the terminal at ${path}`, group, tree, file, path);
}

/**
 * A directory whose `null` is the null device, whatever the container has at /dev: the /dev that this plan made, else one
 * of its own that is nowhere in the tree. What an image or a volume calls /dev/null plays no part (CVE-2025-31133).
 */
export function directoryOfNull(builder: PlanBuilder, dev: Slot | undefined): Slot {
  if (dev !== undefined) return dev;
  const own = builder.newFileSystem({
    label: "A place for a null device",
    group,
    type: "tmpfs",
    source: "tmpfs",
    options: ["mode=755", "nr_blocks=1", "nr_inodes=2"],
    attributes: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
  });
  addNode(builder, own, defaultDevices[0] as Device, "null");
  return own;
}

/**
 * Standard descriptors that lead to the host's null device lead to the container's instead: its root is the owner of the
 * host's, and could change its mode through the descriptor.
 * @param directory of {@link directoryOfNull}
 */
export function addNullStdio(builder: PlanBuilder, directory: Slot, descriptors: readonly number[]): void {
  if (descriptors.length === 0) return;
  const device = builder.addFor("null for standard descriptors", {
    label: "Open the container's /dev/null",
    group,
    syscall: "openat",
    args: [directory, "null", O_RDWR | O_NOFOLLOW | O_CLOEXEC],
    path: "/dev/null",
  });
  for (const descriptor of descriptors) {
    builder.add({
      label: `Connect descriptor ${descriptor} to it`,
      group,
      syscall: "dup3",
      args: [device, descriptor, 0],
    });
  }
}

import { type Dirent, lstatSync, readdirSync } from "node:fs";
import { S_IFBLK, S_IFCHR, S_IFMT } from "../linux/constants.ts";
import { splitDevice } from "../linux/device-number.ts";
import type { Device, DeviceCgroupRule } from "../oci/runtime-spec.ts";

/** Directories of `/dev` that hold no devices, or only such as each container has of its own. */
const skippedDirectories = new Set(["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"]);

/** What each container has of its own. A `ptmx` of the host's is a node where devpts is mounted in the old way. */
const skippedNames = new Set(["console", "ptmx"]);

/**
 * The devices below a directory, as runc finds them: nodes only, links are not followed, the console and the way to new
 * terminals are the container's own.
 * @param root `/dev`, or a directory in it
 * @param place the directory of the container that what is below comes to
 */
export function scanHostDevices(root: string, place = "/dev"): Device[] {
  const devices: Device[] = [];
  const visit = (directory: string, path: string) => {
    for (const entry of entriesOf(directory)) {
      if (entry.isDirectory()) {
        if (!skippedDirectories.has(entry.name)) visit(`${directory}/${entry.name}`, `${path}/${entry.name}`);
      } else if ((entry.isCharacterDevice() || entry.isBlockDevice()) && !skippedNames.has(entry.name)) {
        const device = describeDevice(`${directory}/${entry.name}`, `${path}/${entry.name}`);
        if (device !== undefined) devices.push(device);
      }
    }
  };
  visit(root, place.replace(/\/+$/, ""));
  return devices.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Devices come and go, and their directories with them. */
function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/**
 * The device node at a path of the host, to be made at another in a container.
 * @returns undefined when it is no device, or gone
 */
export function describeDevice(hostPath: string, path: string): Device | undefined {
  const stat = lstatSync(hostPath, { throwIfNoEntry: false });
  const type = stat === undefined ? undefined : deviceType(stat.mode);
  if (stat === undefined || type === undefined) return undefined;
  return { type, path, ...splitDevice(BigInt(stat.rdev)), fileMode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid };
}

function deviceType(mode: number): "b" | "c" | undefined {
  if ((mode & S_IFMT) === S_IFCHR) return "c";
  return (mode & S_IFMT) === S_IFBLK ? "b" : undefined;
}

/** The device rules of a privileged container: everything. */
export function privilegedDeviceRules(): DeviceCgroupRule[] {
  return [{ allow: true, access: "rwm" }];
}

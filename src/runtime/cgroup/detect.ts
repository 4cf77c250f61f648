import { readFileSync, statfsSync } from "node:fs";
import { isCovered, type MountEntry, parseMountinfo } from "./mountinfo.ts";

/** A version 1 hierarchy of this host that is mounted. cgroups(7) */
export interface V1Hierarchy {
  /** Its controllers, such as `["cpu", "cpuacct"]`; none for a named hierarchy such as systemd's. */
  readonly controllers: readonly string[];
  /** The directory's name below /sys/fs/cgroup: `memory`, `cpu,cpuacct`, `systemd`. */
  readonly directory: string;
  readonly mountPoint: string;
}

/**
 * Where this host has its cgroups. Only `v2`: the unified hierarchy carries everything. Only `v1`: a hierarchy for
 * each controller or group of them. Both: hybrid, where a controller is in one of them, never in two.
 */
export interface CgroupHost {
  readonly v1: readonly V1Hierarchy[];
  /** The mount point of the unified hierarchy. */
  readonly v2: string | undefined;
}

/** A line of /proc/self/cgroup: a hierarchy and where in it the process is. cgroups(7) */
export interface CgroupMembership {
  /** 0 for the unified hierarchy. */
  readonly hierarchyId: number;
  /** Controllers and, for a named hierarchy, `name=…`; empty for the unified one. */
  readonly subsystems: readonly string[];
  readonly path: string;
}

const defaultMountPoint = "/sys/fs/cgroup";
/** CGROUP2_SUPER_MAGIC, linux/magic.h */
const cgroup2Magic = 0x63677270;

/** /proc/[pid]/cgroup taken apart. */
export function parseProcCgroup(text: string): CgroupMembership[] {
  const memberships: CgroupMembership[] = [];
  for (const line of text.split("\n")) {
    const match = /^(\d+):([^:]*):(.*)$/.exec(line);
    if (match === null) continue;
    const [, id = "", subsystems = "", path = ""] = match;
    memberships.push({
      hierarchyId: Number(id),
      subsystems: subsystems === "" ? [] : subsystems.split(","),
      path,
    });
  }
  return memberships;
}

/**
 * The hierarchies that can be reached, from the texts of /proc/self/mountinfo and /proc/self/cgroup. Hierarchies that
 * exist without being mounted are left out, and so are mounts that others cover.
 */
export function findCgroups(mountinfo: string, procCgroup: string): CgroupHost {
  const entries = parseMountinfo(mountinfo);
  const mounts = entries.filter(
    (entry) => (entry.type === "cgroup" || entry.type === "cgroup2") && !isCovered(entry, entries),
  );
  const v1: V1Hierarchy[] = [];
  for (const { hierarchyId, subsystems } of parseProcCgroup(procCgroup)) {
    if (hierarchyId === 0 || subsystems.length === 0) continue;
    const mount = best(
      mounts.filter(
        (entry) => entry.type === "cgroup" && subsystems.every((word) => entry.superOptions.includes(word)),
      ),
    );
    if (mount === undefined) continue;
    const controllers = subsystems.filter((word) => !word.startsWith("name="));
    v1.push({ controllers, directory: directoryName(mount.mountPoint, subsystems), mountPoint: mount.mountPoint });
  }
  const v2 = best(mounts.filter((entry) => entry.type === "cgroup2"))?.mountPoint;
  return { v1, v2 };
}

/** The mount to use of several of one hierarchy: writable before read-only, the usual place before others. */
function best(mounts: readonly MountEntry[]): MountEntry | undefined {
  const score = (mount: MountEntry): number =>
    (mount.readOnly ? 0 : 2) +
    (mount.mountPoint === defaultMountPoint || mount.mountPoint.startsWith(`${defaultMountPoint}/`) ? 1 : 0);
  return mounts.reduce<MountEntry | undefined>(
    (chosen, mount) => (chosen === undefined || score(mount) > score(chosen) ? mount : chosen),
    undefined,
  );
}

function directoryName(mountPoint: string, subsystems: readonly string[]): string {
  const prefix = `${defaultMountPoint}/`;
  const name = mountPoint.startsWith(prefix) ? mountPoint.slice(prefix.length) : "";
  if (name !== "" && !name.includes("/")) return name;
  return subsystems.map((word) => (word.startsWith("name=") ? word.slice("name=".length) : word)).join(",");
}

let detected: CgroupHost | undefined;

/**
 * This host's cgroups, looked up once per process. Where /sys/fs/cgroup itself is the unified hierarchy, as it is on
 * every present distribution, one system call answers and /proc is not read.
 */
export function detectCgroups(): CgroupHost {
  return (detected ??= detect());
}

function detect(): CgroupHost {
  if (isUnified(defaultMountPoint)) return { v1: [], v2: defaultMountPoint };
  return findCgroups(readFileSync("/proc/self/mountinfo", "utf8"), readFileSync("/proc/self/cgroup", "utf8"));
}

function isUnified(path: string): boolean {
  try {
    return statfsSync(path).type === cgroup2Magic;
  } catch (error) {
    // Neither the directory nor sysfs has to exist: mountinfo then knows whether there are cgroups elsewhere.
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "EACCES") return false;
    throw error;
  }
}

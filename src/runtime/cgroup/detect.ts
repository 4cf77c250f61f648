import { readFileSync, statfsSync } from "node:fs";
import { type MountEntry, parseMountinfo, reachableMounts } from "../../linux/mountinfo.ts";
import { isWithin } from "../../util/path.ts";

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
    // Only the path can hold further colons.
    const first = line.indexOf(":");
    const second = line.indexOf(":", first + 1);
    if (first === -1 || second === -1) continue;
    const subsystems = line.slice(first + 1, second);
    memberships.push({
      hierarchyId: Number(line.slice(0, first)),
      subsystems: subsystems === "" ? [] : subsystems.split(","),
      path: line.slice(second + 1),
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
  const mounts = reachableMounts(
    entries.filter(({ type }) => type === "cgroup" || type === "cgroup2"),
    entries,
  );
  const v1: V1Hierarchy[] = [];
  let v2: MountEntry | undefined;
  const chosen = new Map<CgroupMembership, MountEntry>();
  const memberships = parseProcCgroup(procCgroup).filter(({ subsystems }) => subsystems.length > 0);
  const bySubsystem = new Map(
    memberships.flatMap((membership) => membership.subsystems.map((name) => [name, membership] as const)),
  );
  for (const mount of mounts) {
    if (mount.type === "cgroup2") {
      v2 = better(v2, mount);
      continue;
    }
    // A hierarchy's mount names all of its subsystems, so that any of them tells which one it is.
    const name = mount.superOptions.find((option) => bySubsystem.has(option));
    const membership = name === undefined ? undefined : bySubsystem.get(name);
    if (membership !== undefined) chosen.set(membership, better(chosen.get(membership), mount));
  }
  for (const [{ subsystems }, { mountPoint }] of chosen) {
    const controllers = subsystems.filter((name) => !name.startsWith("name="));
    v1.push({ controllers, directory: directoryName(mountPoint, subsystems), mountPoint });
  }
  return { v1, v2: v2?.mountPoint };
}

/** The mount to use of two of one hierarchy: writable before read-only, the usual place before others. */
function better(first: MountEntry | undefined, second: MountEntry): MountEntry {
  return first === undefined || preference(second) > preference(first) ? second : first;
}

function preference({ readOnly, mountPoint }: MountEntry): number {
  return (readOnly ? 0 : 2) + (isWithin(mountPoint, defaultMountPoint) ? 1 : 0);
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

import { isWithin } from "../util/path.ts";

/** A line of /proc/self/mountinfo, as far as anything needs it. proc_pid_mountinfo(5) */
export interface MountEntry {
  readonly id: number;
  readonly parentId: number;
  /** Which directory of the file system is the mount's root. */
  readonly root: string;
  readonly mountPoint: string;
  readonly readOnly: boolean;
  readonly type: string;
  /** The file system's own options: for a version 1 hierarchy its controllers and its `name=` are among them. */
  readonly superOptions: readonly string[];
}

/** Every mount of a mountinfo text, in its order. Lines that are not of the documented form are left out. */
export function parseMountinfo(text: string): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split("\n")) {
    // Optional fields, none or several, end at a lone dash.
    const dash = line.indexOf(" - ");
    if (dash === -1) continue;
    const [id, parentId, , root, mountPoint, options] = line.slice(0, dash).split(" ");
    const [type, , superOptions] = line.slice(dash + 3).split(" ");
    if (options === undefined || root === undefined || mountPoint === undefined || type === undefined) continue;
    const superWords = (superOptions ?? "").split(",");
    entries.push({
      id: Number(id),
      parentId: Number(parentId),
      root: unescape(root),
      mountPoint: unescape(mountPoint),
      readOnly: options.split(",").includes("ro") || superWords.includes("ro"),
      type,
      superOptions: superWords,
    });
  }
  return entries;
}

/** The kernel writes space, tab, newline and backslash as three octal digits. */
function unescape(path: string): string {
  if (!path.includes("\\")) return path;
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/**
 * Those of `wanted` whose paths lead to them: no other mount lies on the same place, or on a directory above it, or
 * above one of the mounts that carry it. Plain loops, as this runs cold at the start of a container.
 * @param entries all mounts of the namespace
 */
export function reachableMounts(wanted: readonly MountEntry[], entries: readonly MountEntry[]): MountEntry[] {
  const byId = new Map<number, MountEntry>();
  for (const entry of entries) byId.set(entry.id, entry);
  return wanted.filter((entry) => {
    const carriers = carriersOf(entry, byId);
    for (const other of entries) {
      if (isWithin(entry.mountPoint, other.mountPoint) && covers(other, carriers)) return false;
    }
    return true;
  });
}

/** The mount itself, the one that it is mounted on, and so on to the namespace's first. */
function carriersOf(entry: MountEntry, byId: ReadonlyMap<number, MountEntry>): MountEntry[] {
  const carriers: MountEntry[] = [];
  let carrier: MountEntry | undefined = entry;
  // The first mount is its own parent, or has one that is not listed.
  while (carrier !== undefined && !carriers.includes(carrier)) {
    carriers.push(carrier);
    carrier = byId.get(carrier.parentId);
  }
  return carriers;
}

/** Whether a mount that lies on the way of a path is met before one of the mounts that should lead to its end. */
function covers(other: MountEntry, carriers: readonly MountEntry[]): boolean {
  if (carriers.includes(other)) return false;
  const under = carriers.findIndex(({ id }) => id === other.parentId);
  if (under === -1) return false;
  // Both `other` and the carrier above `under` are mounted on `under`: the one nearer to the root is met first.
  const upper = carriers[under - 1];
  return upper === undefined || isWithin(upper.mountPoint, other.mountPoint);
}

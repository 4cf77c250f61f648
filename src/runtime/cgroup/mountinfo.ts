/** A line of /proc/self/mountinfo, as far as finding the cgroup file systems needs it. proc_pid_mountinfo(5) */
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
 * Whether other mounts lie over this one, so that its path leads elsewhere: one on the same place, or one on a
 * directory above it, or above a mount that carries it.
 */
export function isCovered(entry: MountEntry, entries: readonly MountEntry[]): boolean {
  let lower: MountEntry | undefined = entry;
  // A mount that is its own ancestor cannot be; the counter only guards against a text that claims it.
  for (let depth = 0; lower !== undefined && depth < entries.length; depth++) {
    for (const other of entries) {
      if (other === lower) continue;
      if (other.parentId === lower.id && other.mountPoint === lower.mountPoint && !carries(other, entry, entries)) {
        return true;
      }
      if (other.parentId === lower.parentId && isBelow(lower.mountPoint, other.mountPoint)) return true;
    }
    const parentId: number = lower.parentId;
    lower = entries.find((candidate) => candidate.id === parentId);
  }
  return false;
}

/** Whether `entry` was mounted, directly or not, on `ancestor`. */
function carries(ancestor: MountEntry, entry: MountEntry, entries: readonly MountEntry[]): boolean {
  let current: MountEntry | undefined = entry;
  for (let depth = 0; current !== undefined && depth <= entries.length; depth++) {
    if (current === ancestor) return true;
    const parentId: number = current.parentId;
    current = entries.find((candidate) => candidate.id === parentId);
  }
  return false;
}

/** Whether `path` is a proper descendant of `directory`. */
function isBelow(path: string, directory: string): boolean {
  return path !== directory && path.startsWith(directory === "/" ? "/" : `${directory}/`);
}

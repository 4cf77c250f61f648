import {
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
  MOUNT_ATTR__ATIME,
  MS_PRIVATE,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
} from "../linux/constants.ts";
import type { Mount } from "../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../util/errors.ts";

/** The options of a mount, sorted by what the kernel does with them. */
export interface MountOptions {
  /** Undefined: a new file system of the mount's type. */
  bind?: "bind" | "rbind";
  /** MOUNT_ATTR_… to set and to clear on the mount. */
  set: number;
  clear: number;
  /** The same, for the mount and everything below it. */
  recursiveSet: number;
  recursiveClear: number;
  /** How mounts below it spread, one after the other: shared with a new group that is a slave of another's takes two. */
  propagations: Propagation[];
  /** What is mounted at the place is changed. */
  remount?: true;
  /** The owners of files are others in the mount; with `ridmap` in those below it too. */
  idMap?: "idmap" | "ridmap";
  /** A tmpfs that begins with what the directory which it covers has. */
  copyUp?: true;
  /** What the file system itself understands: `size=64m`. */
  data: string[];
}

/** One of `private`, `rshared` and their like. mount_namespaces(7) */
export interface Propagation {
  /** MS_SHARED and its like. */
  readonly type: number;
  /** The mounts below it too. */
  readonly recursive: boolean;
}

/** Attributes by option name: what is set, and what is cleared first. OCI runtime specification, config.md, "Linux mount options". */
const attributes: Record<string, readonly [set: number, clear: number]> = {
  ro: [MOUNT_ATTR_RDONLY, 0],
  rw: [0, MOUNT_ATTR_RDONLY],
  nosuid: [MOUNT_ATTR_NOSUID, 0],
  suid: [0, MOUNT_ATTR_NOSUID],
  nodev: [MOUNT_ATTR_NODEV, 0],
  dev: [0, MOUNT_ATTR_NODEV],
  noexec: [MOUNT_ATTR_NOEXEC, 0],
  exec: [0, MOUNT_ATTR_NOEXEC],
  nodiratime: [MOUNT_ATTR_NODIRATIME, 0],
  diratime: [0, MOUNT_ATTR_NODIRATIME],
  relatime: [0, MOUNT_ATTR__ATIME],
  norelatime: [0, MOUNT_ATTR__ATIME],
  noatime: [MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME],
  atime: [0, MOUNT_ATTR__ATIME],
  strictatime: [MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME],
  nostrictatime: [0, MOUNT_ATTR__ATIME],
  nosymfollow: [MOUNT_ATTR_NOSYMFOLLOW, 0],
  symfollow: [0, MOUNT_ATTR_NOSYMFOLLOW],
};

const propagations: Record<string, number> = {
  private: MS_PRIVATE,
  shared: MS_SHARED,
  slave: MS_SLAVE,
  unbindable: MS_UNBINDABLE,
};

/** Options of mount(8) that mean "nothing special", and those that are of mount(2) alone and change nothing since. */
const empty = new Set(
  "defaults async noauto auto nouser _netdev silent loud iversion noiversion nolazytime nomand".split(" "),
);

/** The option words that are the mount's, and not the file system's: for `features`. */
export function mountOptionNames(): string[] {
  const recursive = Object.keys(attributes).map((name) => `r${name}`);
  const spread = Object.keys(propagations).flatMap((name) => [name, `r${name}`]);
  const words = [
    ...Object.keys(attributes),
    ...recursive,
    ...spread,
    ...empty,
    "bind",
    "rbind",
    "remount",
    ...prepared,
  ];
  return [...new Set(words)].sort();
}

/** What can be set on a mount, and is not about times of access. */
const restrictions =
  MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW;

/**
 * MOUNT_ATTR_… to clear on a bind mount. Without options it is as its source is; with some of them it has these and no
 * others of the source's, as mount(8) intends and runc does, except where the host's are locked. mount_namespaces(7)
 */
export function clearedOfBind({ set, clear }: MountOptions): { readonly all: number; readonly ifLocked: number } {
  if (set === 0 && clear === 0) return { all: 0, ifLocked: 0 };
  // The kernel locks all but that one.
  return { all: clear | (restrictions & ~set), ifLocked: clear | (MOUNT_ATTR_NOSYMFOLLOW & ~set) };
}

/** MOUNT_ATTR_… of a new file system's mount, which has nothing below it. */
export function attributesOf(options: MountOptions): number {
  return options.set | options.recursiveSet;
}

const prepared = new Set(["idmap", "ridmap", "tmpcopyup"]);

/** Whether a mount takes what a launch plan cannot make: see `prepareMounts`. */
export function needsPreparation(mount: Mount): boolean {
  return hasMappings(mount) || (mount.options ?? []).some((word) => prepared.has(word));
}

/** Whether a mount says itself which owners its files have. */
export function hasMappings({ uidMappings = [], gidMappings = [] }: Mount): boolean {
  return uidMappings.length + gidMappings.length > 0;
}

/**
 * Sorts the option words of an OCI mount. Words that are not Linux's or the specification's own are the file system's.
 * @throws InvalidDocumentError for one that would have no effect
 */
export function parseMountOptions(words: readonly string[]): MountOptions {
  const options: MountOptions = {
    set: 0,
    clear: 0,
    recursiveSet: 0,
    recursiveClear: 0,
    propagations: [],
    data: [],
  };
  for (const word of words) {
    if (/^r?idmap=/.test(word)) {
      throw new InvalidDocumentError(
        `mounts: the option ${word} is not known: uidMappings and gidMappings say the same`,
      );
    }
    const own = attributes[word];
    const recursive = word.startsWith("r") ? attributes[word.slice(1)] : undefined;
    const shared = propagations[word] ?? propagations[word.slice(1)];
    if (word === "remount") options.remount = true;
    else if (word === "idmap" || word === "ridmap") options.idMap = word;
    else if (word === "tmpcopyup") options.copyUp = true;
    else if (word === "rbind") options.bind = word;
    else if (word === "bind") options.bind ??= word;
    else if (own !== undefined) {
      options.set = (options.set & ~(own[0] | own[1])) | own[0];
      options.clear = (options.clear & ~own[0]) | own[1];
    } else if (recursive !== undefined) {
      options.recursiveSet = (options.recursiveSet & ~(recursive[0] | recursive[1])) | recursive[0];
      options.recursiveClear = (options.recursiveClear & ~recursive[0]) | recursive[1];
    } else if (shared !== undefined && (word in propagations || word.startsWith("r"))) {
      options.propagations.push({ type: shared, recursive: !(word in propagations) });
    } else if (!empty.has(word)) options.data.push(word);
  }
  return options;
}

import {
  type BigIntStats,
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from "node:fs";
import { fromByteString } from "../../src/linux/at.ts";
import { getXattr, listXattrs } from "../../src/linux/xattr.ts";

/** What {@link describeTree} leaves out. */
export interface TreeOptions {
  /** Leave out modification times: `all`, or those of `directories`. */
  readonly ignoreTimes?: "all" | "directories";
  /** Times in whole seconds, for peers that lose the rest. */
  readonly wholeSeconds?: boolean;
  readonly ignoreXattrs?: boolean;
  readonly ignoreOwners?: boolean;
  /** Show what gocker marks a layer's directories with for itself: see linux/overlay.ts. */
  readonly showMarks?: boolean;
  /** Leave out the line of the root itself. */
  readonly ignoreRoot?: boolean;
}

const O_PATH = 0o10000000;

const typeNames: Readonly<Record<number, string>> = {
  [constants.S_IFREG]: "file",
  [constants.S_IFDIR]: "directory",
  [constants.S_IFLNK]: "symlink",
  [constants.S_IFCHR]: "character-device",
  [constants.S_IFBLK]: "block-device",
  [constants.S_IFIFO]: "fifo",
  [constants.S_IFSOCK]: "socket",
};

/**
 * A directory tree as sorted lines, one for each name: type, mode, owner, size, time in nanoseconds, link target, device
 * number, extended attributes, the digest of the content, and which name (the first in order) it is a hard link of.
 * Access times and sizes of directories are left out: reading changes the former, file systems differ in the latter.
 * Never follows a symbolic link below `root`. Needs to be able to read everything, so mostly root.
 */
export function describeTree(root: string, options: TreeOptions = {}): string[] {
  const lines: string[] = [];
  const seen: SeenFiles = { firstNames: new Map(), digests: new Map() };
  const visit = (path: Buffer, name: string) => {
    const stats = lstatSync(path, { bigint: true });
    if (name !== "." || options.ignoreRoot !== true) lines.push(describe(path, name, stats, seen, options));
    if (!stats.isDirectory()) return;
    const children = readdirSync(path, { encoding: "latin1" }).sort();
    for (const child of children) {
      visit(Buffer.concat([path, Buffer.from(`/${child}`, "latin1")]), name === "." ? child : `${name}/${child}`);
    }
  };
  visit(Buffer.from(root), ".");
  return lines;
}

/** What two trees differ in, as `- line` for what only the first has and `+ line` for the second; empty when equal. */
export function compareTrees(first: string, second: string, options: TreeOptions = {}): string[] {
  const left = describeTree(first, options);
  const right = describeTree(second, options);
  const inLeft = new Set(left);
  const inRight = new Set(right);
  return [
    ...left.filter((line) => !inRight.has(line)).map((line) => `- ${line}`),
    ...right.filter((line) => !inLeft.has(line)).map((line) => `+ ${line}`),
  ].sort((a, b) => (a.slice(2) < b.slice(2) ? -1 : 1));
}

/** Files of several names, by device and inode. */
interface SeenFiles {
  readonly firstNames: Map<string, string>;
  readonly digests: Map<string, string>;
}

function describe(path: Buffer, name: string, stats: BigIntStats, seen: SeenFiles, options: TreeOptions): string {
  const type = Number(stats.mode) & constants.S_IFMT;
  const words = [
    JSON.stringify(fromByteString(name)),
    typeNames[type] ?? type.toString(8),
    (Number(stats.mode) & 0o7777).toString(8).padStart(4, "0"),
  ];
  if (options.ignoreOwners !== true) words.push(`${stats.uid}:${stats.gid}`);
  if (options.ignoreTimes !== "all" && !(options.ignoreTimes === "directories" && stats.isDirectory())) {
    words.push(`time=${options.wholeSeconds === true ? stats.mtimeNs / 1_000_000_000n : stats.mtimeNs}`);
  }
  if (stats.isSymbolicLink()) words.push(`-> ${JSON.stringify(fromByteString(readlinkSync(path, "latin1")))}`);
  if (stats.isCharacterDevice() || stats.isBlockDevice()) words.push(`device=${stats.rdev}`);
  const inode = `${stats.dev}:${stats.ino}`;
  if (stats.isFile()) {
    const digest = seen.digests.get(inode) ?? digestOf(path, Number(stats.size));
    if (stats.nlink > 1n) seen.digests.set(inode, digest);
    words.push(`size=${stats.size}`, digest);
  }
  if (options.ignoreXattrs !== true) words.push(...describeXattrs(path, options));
  if (!stats.isDirectory() && stats.nlink > 1n) {
    const first = seen.firstNames.get(inode);
    if (first === undefined) seen.firstNames.set(inode, name);
    else words.push(`same-as=${JSON.stringify(fromByteString(first))}`);
  }
  return words.join(" ");
}

function describeXattrs(path: Buffer, { showMarks = false }: TreeOptions): string[] {
  const fd = openSync(path, O_PATH | constants.O_NOFOLLOW);
  try {
    return listXattrs(fd)
      .filter((key) => showMarks || !key.startsWith("trusted.overlay.gocker."))
      .sort()
      .map((key) => `${key}=${Buffer.from(getXattr(fd, key) ?? []).toString("hex")}`);
  } finally {
    closeSync(fd);
  }
}

/** Files beyond this size are sparse ones of tests: of them only the ends are compared. */
const wholeLimit = 2 ** 31;

function digestOf(path: Buffer, size: number): string {
  const hasher = new Bun.CryptoHasher("sha256");
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const buffer = Buffer.allocUnsafe(1 << 20);
    for (let at = 0, count: number; (count = readSync(fd, buffer, 0, buffer.length, at)) > 0;) {
      hasher.update(buffer.subarray(0, count));
      at = size > wholeLimit && at === 0 ? size - buffer.length : at + count;
    }
  } finally {
    closeSync(fd);
  }
  return hasher.digest("hex").slice(0, 16);
}

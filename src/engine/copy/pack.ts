import { TarWriter } from "../../image/layer/tar/writer.ts";
import type { TarEntryType, TarXattr } from "../../image/layer/tar/entry.ts";
import { timestampOf } from "../../image/layer/times.ts";
import { type ByteString, fromByteString, readLink } from "../../linux/at.ts";
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG } from "../../linux/constants.ts";
import { openContent, type TreeDirectory, type TreeEntry, type TreeFile } from "../../linux/copy-tree.ts";
import { splitDevice } from "../../linux/device-number.ts";
import { readSome } from "../../linux/fd.ts";
import { getXattr, listXattrs } from "../../linux/xattr.ts";

/** Overlayfs's own attributes, and labels, which belong to a machine. */
const leftOut = /^(?:(?:trusted|user)\.overlay\.|security\.selinux$)/;

const types: ReadonlyMap<number, TarEntryType> = new Map([
  [S_IFREG, "file"],
  [S_IFLNK, "symlink"],
  [S_IFCHR, "character-device"],
  [S_IFBLK, "block-device"],
  [S_IFIFO, "fifo"],
]);

/**
 * Packs an entry into a tar archive: owners, modes, times to the nanosecond, attributes and hard links. Nothing is followed
 * and nothing but regular files is opened. What grows or shrinks meanwhile has the size that it had.
 * @param name the entry's in the archive; undefined for a directory whose contents are meant
 * @param write takes the archive's bytes, which are only valid during the call
 * @param onLeftOut told what a tar archive cannot hold, in words
 * @throws SystemCallError
 */
export function packEntry(
  entry: TreeEntry,
  name: ByteString | undefined,
  write: (bytes: Uint8Array) => void,
  onLeftOut: (what: string) => void,
): void {
  const packer = new Packer(write, onLeftOut);
  if (entry.kind === "file") packer.file(entry, name ?? "");
  else packer.directory(entry, name === undefined ? "./" : `${name}/`);
  packer.finish();
}

class Packer {
  readonly #writer: TarWriter;
  readonly #onLeftOut: (what: string) => void;
  /** The names of files that have more than one, by device and inode. */
  readonly #linked = new Map<string, ByteString>();
  readonly #buffer = new Uint8Array(256 * 1024);

  constructor(write: (bytes: Uint8Array) => void, onLeftOut: (what: string) => void) {
    this.#writer = new TarWriter(write);
    this.#onLeftOut = onLeftOut;
  }

  directory(directory: TreeDirectory, path: ByteString): void {
    this.#entry(directory, { type: "directory", path });
    // In one order, so that the same files give the same archive.
    for (const name of directory.names().toSorted()) {
      using entry = directory.lookup(name);
      if (entry === undefined) continue;
      if (entry.kind === "directory") this.directory(entry, `${path}${name}/`);
      else this.file(entry, `${path}${name}`);
    }
  }

  file(entry: TreeFile, path: ByteString): void {
    const { stat } = entry;
    const type = types.get(Number(stat.mode) & S_IFMT);
    if (type === undefined) return this.#onLeftOut(`the socket ${fromByteString(path)}`);
    const key = `${stat.dev}:${stat.ino}`;
    const linkPath = this.#linked.get(key);
    if (linkPath !== undefined) return this.#entry(entry, { type: "hardlink", path, linkPath });
    if (stat.nlink > 1n) this.#linked.set(key, path);
    if (type === "symlink") this.#entry(entry, { type, path, linkPath: readLink(entry.fd.number) });
    else if (type === "file") this.#content(entry, path);
    else this.#entry(entry, { type, path });
  }

  #content(entry: TreeFile, path: ByteString): void {
    using file = openContent(entry);
    let left = Number(entry.stat.size);
    this.#entry(entry, { type: "file", path, size: left });
    while (left > 0) {
      const bytes = readSome(file.number, this.#buffer.subarray(0, Math.min(left, this.#buffer.length)));
      // It has shrunk: what is missing are zeros, as with every tar.
      const part = bytes.length > 0 ? bytes : new Uint8Array(Math.min(left, this.#buffer.length));
      this.#writer.content(part);
      left -= part.length;
    }
  }

  #entry(
    { stat, fd }: TreeEntry,
    given: {
      readonly type: TarEntryType;
      readonly path: ByteString;
      readonly linkPath?: ByteString;
      readonly size?: number;
    },
  ): void {
    const device = splitDevice(stat.rdev);
    const isLink = given.type === "hardlink";
    this.#writer.entry({
      linkPath: "",
      size: 0,
      ...given,
      mode: Number(stat.mode) & 0o7777,
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      modified: timestampOf(stat.mtimeNs),
      accessed: undefined,
      xattrs: isLink ? [] : attributesOf(fd.number),
      deviceMajor: isLink ? 0 : device.major,
      deviceMinor: isLink ? 0 : device.minor,
    });
  }

  finish(): void {
    this.#writer.finish();
  }
}

function attributesOf(fd: number): TarXattr[] {
  return listXattrs(fd).flatMap((name) => {
    const value = leftOut.test(name) ? undefined : getXattr(fd, name);
    return value === undefined ? [] : [{ name, value }];
  });
}

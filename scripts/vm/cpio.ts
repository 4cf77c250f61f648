/** A file, or a directory where there is no content, of an archive that becomes a machine's first root directory. */
export interface CpioEntry {
  /** Relative, its directory before it. */
  readonly path: string;
  /** With the type: `0o100755` for a program. */
  readonly mode: number;
  readonly content?: Uint8Array | string;
}

/**
 * An archive in the format that the kernel unpacks: `newc`, all files root's.
 * Source: Documentation/driver-api/early-userspace/buffer-format.rst
 */
export function cpioArchive(entries: readonly CpioEntry[]): Uint8Array {
  const trailer: CpioEntry = { path: "TRAILER!!!", mode: 0 };
  return Buffer.concat([...entries, trailer].flatMap((entry, index) => encode(entry, index + 1)));
}

function encode({ path, mode, content = "" }: CpioEntry, inode: number): Buffer[] {
  const name = Buffer.from(`${path}\0`);
  const data = Buffer.from(content);
  const [uid, gid, links, modified, device] = [0, 0, 1, 0, 0];
  const numbers = [inode, mode, uid, gid, links, modified, data.length, device, device, device, device, name.length, 0];
  const header = Buffer.from(`070701${numbers.map((number) => number.toString(16).padStart(8, "0")).join("")}`);
  return [header, name, padding(header.length + name.length), data, padding(data.length)];
}

/** What follows this many bytes up to the next multiple of four. */
function padding(length: number): Buffer {
  return Buffer.alloc(-length & 3);
}

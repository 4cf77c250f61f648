import type { ByteString } from "../../../linux/at.ts";
import type { TarEntry, TarEntryType, Timestamp } from "./entry.ts";
import { blockSize } from "./header.ts";

/** A member to be written: what {@link TarEntry} says, but for what only a reader knows. */
export type NewTarEntry = Omit<TarEntry, "offset" | "sparse">;

const typeFlags: Readonly<Record<TarEntryType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  "character-device": "3",
  "block-device": "4",
  directory: "5",
  fifo: "6",
};

/** Where the fields of a header are, and how long. POSIX.1-2024, pax, "ustar Interchange Format" */
const fields = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  modified: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  linkName: [157, 100],
  magic: [257, 8],
  deviceMajor: [329, 8],
  deviceMinor: [337, 8],
} as const;

/**
 * Writes a tar archive member by member, in POSIX's pax format: what a plain header cannot hold (long names, fractions of
 * seconds, large numbers, extended attributes) is in an extended header before it. Names stay the bytes that they are.
 */
export class TarWriter {
  readonly #write: (bytes: Uint8Array) => void;
  /** Bytes of the current file that are still to come, and those that fill up its last block. */
  #left = 0;
  #padding = 0;

  /** @param write takes the archive's bytes, which are only valid during the call */
  constructor(write: (bytes: Uint8Array) => void) {
    this.#write = write;
  }

  /** Begins a member. The content of a file follows: {@link content}, as often as it takes to have `size` bytes. */
  entry(entry: NewTarEntry): void {
    if (this.#left > 0) throw new RangeError(`${this.#left} bytes of the file before are missing`);
    const records = extendedRecords(entry);
    if (records.length > 0) {
      this.#write(header({ ...plainEntry, path: "././@PaxHeader", mode: 0o644, size: records.length }, "x"));
      this.#write(records);
      this.#write(new Uint8Array(paddingOf(records.length)));
    }
    this.#write(header(entry, typeFlags[entry.type]));
    this.#left = entry.type === "file" ? entry.size : 0;
    this.#padding = paddingOf(this.#left);
  }

  content(bytes: Uint8Array): void {
    if (bytes.length > this.#left) throw new RangeError("a file has more content than its header says");
    this.#left -= bytes.length;
    if (bytes.length > 0) this.#write(bytes);
    if (this.#left > 0 || this.#padding === 0) return;
    this.#write(new Uint8Array(this.#padding));
    this.#padding = 0;
  }

  /** Ends the archive. */
  finish(): void {
    this.#write(new Uint8Array(2 * blockSize));
  }
}

const epoch: Timestamp = { seconds: 0, nanoseconds: 0 };
const plainEntry: NewTarEntry = {
  type: "file",
  path: "",
  linkPath: "",
  mode: 0,
  uid: 0,
  gid: 0,
  size: 0,
  modified: epoch,
  accessed: undefined,
  xattrs: [],
  deviceMajor: 0,
  deviceMinor: 0,
};

/** What fits into an octal field of a header with its NUL. */
const largestId = 0o7777777;
const largestNumber = 0o77777777777;

function extendedRecords(entry: NewTarEntry): Buffer {
  const records: Buffer[] = [];
  const add = (keyword: ByteString, value: Uint8Array | string) => {
    records.push(record(keyword, typeof value === "string" ? Buffer.from(value, "latin1") : value));
  };
  const { path, linkPath, size, uid, gid, modified, accessed } = entry;
  if (path.length > fields.name[1] || isNoText(path)) add("path", path);
  if (linkPath.length > fields.linkName[1] || isNoText(linkPath)) add("linkpath", linkPath);
  if (size > largestNumber) add("size", String(size));
  if (uid > largestId) add("uid", String(uid));
  if (gid > largestId) add("gid", String(gid));
  if (modified.nanoseconds !== 0 || modified.seconds < 0 || modified.seconds > largestNumber) {
    add("mtime", decimalTime(modified));
  }
  if (accessed !== undefined) add("atime", decimalTime(accessed));
  for (const { name, value } of entry.xattrs) add(`SCHILY.xattr.${name}`, value);
  return Buffer.concat(records);
}

/** Some readers take the bytes of a header for ASCII. */
function isNoText(name: ByteString): boolean {
  return /[^\x20-\x7e]/.test(name);
}

/** `LENGTH KEYWORD=VALUE\n`, whose length counts its own digits. */
function record(keyword: ByteString, value: Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${keyword}=`, "latin1"), value, Buffer.from("\n")]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** -1.25 is 0.75 seconds after -2. */
function decimalTime({ seconds, nanoseconds }: Timestamp): string {
  if (nanoseconds === 0) return String(seconds);
  const [whole, fraction] = seconds < 0 ? [seconds + 1, 1_000_000_000 - nanoseconds] : [seconds, nanoseconds];
  const sign = seconds < 0 && whole === 0 ? "-" : "";
  return `${sign}${whole}.${String(fraction).padStart(9, "0").replace(/0+$/, "")}`;
}

function header(entry: NewTarEntry, type: string): Buffer {
  const block = Buffer.alloc(blockSize);
  const text = ([offset, length]: readonly [number, number], value: string) =>
    block.write(value.slice(0, length), offset, length, "latin1");
  const octal = (field: readonly [number, number], value: number, largest = largestId) => {
    const fitting = value >= 0 && value <= largest ? value : 0;
    text(field, `${fitting.toString(8).padStart(field[1] - 1, "0")}\0`);
  };
  text(fields.name, entry.path);
  octal(fields.mode, entry.mode);
  octal(fields.uid, entry.uid);
  octal(fields.gid, entry.gid);
  octal(fields.size, entry.type === "file" ? entry.size : 0, largestNumber);
  octal(fields.modified, entry.modified.seconds, largestNumber);
  text(fields.type, type);
  text(fields.linkName, entry.linkPath);
  text(fields.magic, "ustar\x0000");
  octal(fields.deviceMajor, entry.deviceMajor);
  octal(fields.deviceMinor, entry.deviceMinor);
  // It counts itself as blanks.
  text(fields.checksum, " ".repeat(8));
  const sum = block.reduce((total, byte) => total + byte, 0);
  text(fields.checksum, `${sum.toString(8).padStart(6, "0")}\0 `);
  return block;
}

/** Bytes that fill up `size` to whole blocks. */
function paddingOf(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

import type { ByteString } from "../../../linux/at.ts";

/** What a member of an archive is. Old and vendors' type letters are mapped to these: see `header.ts`. */
export type TarEntryType = "file" | "directory" | "symlink" | "hardlink" | "character-device" | "block-device" | "fifo";

/** A moment, exact to the nanosecond: `seconds` since 1970 (negative before), `nanoseconds` from 0 to 999,999,999. */
export interface Timestamp {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** An extended attribute; the name is a byte string such as `security.capability`. */
export interface TarXattr {
  readonly name: ByteString;
  readonly value: Uint8Array;
}

/** A member of a tar archive, with everything that PAX and GNU headers said about it already applied. */
export interface TarEntry {
  readonly type: TarEntryType;
  /** The name as the archive has it: it may be absolute, hold `..`, end in `/`, or be empty. */
  readonly path: ByteString;
  /** What a symbolic or hard link points to; empty for other types. */
  readonly linkPath: ByteString;
  /** Permission bits with set-user-ID, set-group-ID and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of the file, the holes of a sparse one included; 0 for everything but files. */
  readonly size: number;
  /** Whether the file has holes: then content comes at positions, not in one run. */
  readonly sparse: boolean;
  readonly modified: Timestamp;
  /** Last access; undefined when the archive does not tell. */
  readonly accessed: Timestamp | undefined;
  readonly xattrs: readonly TarXattr[];
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** Where the member's header stands in the plain archive, in bytes. */
  readonly offset: number;
}

/** Who takes what {@link TarReader} finds, in the order of the archive. What it throws, the reader passes on. */
export interface TarHandler {
  /** A member begins. */
  entry(entry: TarEntry): void;
  /**
   * Content of the file that began last.
   * @param bytes only valid during the call
   * @param position where the bytes belong in the file; ascending, with gaps only in sparse files
   */
  content(bytes: Uint8Array, position: number): void;
  /** The member that began last is complete. */
  end(entry: TarEntry): void;
}

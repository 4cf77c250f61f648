import type { TarEntry, TarEntryType } from "./entry.ts";
import { tarError } from "./errors.ts";
import type { TarHeader } from "./header.ts";
import { type PaxAttributes, paxXattrs } from "./pax.ts";

const entryTypes: Readonly<Record<string, TarEntryType>> = {
  "0": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "character-device",
  "4": "block-device",
  "5": "directory",
  "6": "fifo",
  // A contiguous file, which is a file everywhere.
  "7": "file",
  // GNU: a directory with the list of its files, from an incremental backup.
  D: "directory",
  // GNU: a sparse file.
  S: "file",
};

/** A member and how its content is stored. */
export interface TarMember {
  readonly entry: TarEntry;
  /** Bytes that follow the header, without padding. */
  readonly stored: number;
  /** Where a sparse file's map is; undefined for a file without holes. */
  readonly map: "header" | "content" | readonly number[] | undefined;
}

/**
 * Puts a member together from its header and what extended headers say of it.
 * @param offset of the header in the archive
 * @param oldSparseSize what the header of a GNU sparse member (type `S`) gives as the size of the file with its holes
 * @throws InvalidDocumentError when it is of a type that cannot be unpacked
 */
export function buildMember(
  header: TarHeader,
  pax: PaxAttributes,
  offset: number,
  oldSparseSize: number | undefined,
): TarMember {
  const path = pax.sparse?.name ?? pax.path ?? header.path;
  const type = memberType(header.typeFlag, path, offset);
  const size = pax.size ?? header.size;
  const sparse = type === "file" ? sparseStorage(header.typeFlag, pax, oldSparseSize, offset) : undefined;
  const isLink = type === "symlink" || type === "hardlink";
  const entry: TarEntry = {
    type,
    path,
    linkPath: isLink ? (pax.linkPath ?? header.linkPath) : "",
    mode: header.mode,
    uid: pax.uid ?? header.uid,
    gid: pax.gid ?? header.gid,
    size: type === "file" ? (sparse?.size ?? size) : 0,
    sparse: sparse !== undefined,
    modified: pax.modified ?? { seconds: header.modified, nanoseconds: 0 },
    accessed: pax.accessed ?? undefined,
    xattrs: paxXattrs(pax),
    deviceMajor: header.deviceMajor,
    deviceMinor: header.deviceMinor,
    offset,
  };
  // Links, devices and directories may have a size, but nothing follows them; only a file that is a directory by its
  // name, and GNU's list of files, have content.
  const hasContent = type === "file" || (type === "directory" && header.typeFlag !== "5");
  return { entry, stored: hasContent ? size : 0, map: sparse?.map };
}

function memberType(typeFlag: string, path: string, offset: number): TarEntryType {
  const type = entryTypes[typeFlag];
  if (type === undefined) throw tarError(offset, `a member has the unknown type ${JSON.stringify(typeFlag)}`);
  // Before there was a type for directories, they were files with such a name.
  return (typeFlag === "0" || typeFlag === "7") && path.endsWith("/") ? "directory" : type;
}

interface SparseStorage {
  readonly size: number;
  readonly map: "header" | "content" | readonly number[];
}

function sparseStorage(
  typeFlag: string,
  { sparse }: PaxAttributes,
  oldSparseSize: number | undefined,
  offset: number,
): SparseStorage | undefined {
  if (typeFlag === "S" && oldSparseSize !== undefined) return { size: oldSparseSize, map: "header" };
  if (sparse === undefined) return undefined;
  const { major, minor = 0, realSize, map } = sparse;
  if (major !== undefined && major > 1) throw tarError(offset, `sparse file format ${major}.${minor} is not known`);
  if (major !== 1 && map === undefined && realSize === undefined) return undefined;
  if (realSize === undefined) throw tarError(offset, "a sparse file's size is missing");
  return { size: realSize, map: major === 1 ? "content" : (map ?? []) };
}

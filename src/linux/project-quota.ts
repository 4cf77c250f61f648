import { ptr } from "bun:ffi";
import { errnos, systemCallError } from "./errno.ts";
import type { OwnedFd } from "./fd.ts";
import { errno, libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

/** What the files of a project take on the disk, and what they may. In bytes; a limit of 0 is none. */
export interface ProjectUse {
  readonly bytes: number;
  readonly files: number;
  readonly limit: number;
}

/** Of `struct fs_disk_quota`, its size and the places of its fields. linux/dqblk_xfs.h */
const quotaRecord = {
  size: 112,
  version: 0,
  flags: 1,
  fields: 2,
  id: 4,
  hardBlocks: 8,
  softBlocks: 16,
  blocks: 40,
  files: 48,
};
const recordVersion = 1;
const isProjectRecord = 2;
/** FS_DQ_BSOFT and FS_DQ_BHARD: what of a record is to be set. */
const limitFields = (1 << 2) | (1 << 3);
/** What limits and use are counted in, whatever the file system's own blocks are. */
const basicBlock = 512;

/** Commands of quotactl(2) that XFS brought and other file systems answer too, for quotas of projects. */
const command = (number: number) => (((0x58 << 8) | number) << 8) | 2;
const getUse = command(3);
const setLimit = command(4);
const getState = command(5);

/** FS_QUOTA_PDQ_ACCT and FS_QUOTA_PDQ_ENFD, in `qs_flags` of `struct fs_quota_stat`. */
const isKeptAndEnforced = (1 << 4) | (1 << 5);
/** More than that structure takes. */
const stateSize = 128;

/** `struct fsxattr`, and how it is read and written. ioctl_xfs_fsgetxattr(2), linux/fs.h */
const attributesSize = 28;
const FS_IOC_FSGETXATTR = 0x801c581f;
const FS_IOC_FSSETXATTR = 0x401c5820;
const flagsPlace = 0;
const projectPlace = 12;
/** What is made in the directory is of its project too. */
const FS_XFLAG_PROJINHERIT = 0x200;

/**
 * Whether the file system of a file keeps account of projects and holds them to their limits (ext4 and XFS mounted with
 * `prjquota`); kernels before 5.14 cannot be asked.
 * @throws SystemCallError
 */
export function hasProjectQuotas(file: OwnedFd): boolean {
  const state = new DataView(new ArrayBuffer(stateSize));
  const failed = quotactl(file, getState, 0, state);
  if (failed === 0) return (state.getUint16(2, true) & isKeptAndEnforced) === isKeptAndEnforced;
  // The kernel's different words for: not here, not on, not known.
  if (failed === errnos.ENOSYS || failed === errnos.ESRCH) return false;
  if (failed === errnos.EOPNOTSUPP || failed === errnos.EINVAL) return false;
  throw systemCallError("quotactl_fd", {}, failed);
}

/** The number of the project that a file belongs to; 0 is none. @throws SystemCallError */
export function projectOf(file: OwnedFd): number {
  return attributes(file).getUint32(projectPlace, true);
}

/** Makes a directory one of a project's, with all that will be made in it. @throws SystemCallError */
export function joinProject(directory: OwnedFd, project: number): void {
  const record = attributes(directory);
  record.setUint32(flagsPlace, record.getUint32(flagsPlace, true) | FS_XFLAG_PROJINHERIT, true);
  record.setUint32(projectPlace, project, true);
  if (libc.ioctl(directory.number, FS_IOC_FSSETXATTR, record) < 0) throw systemCallError("ioctl FS_IOC_FSSETXATTR");
}

/** @param file any of the file system's @throws SystemCallError */
export function projectUse(file: OwnedFd, project: number): ProjectUse {
  const record = new DataView(new ArrayBuffer(quotaRecord.size));
  const failed = quotactl(file, getUse, project, record);
  // Nobody has ever been in it.
  if (failed === errnos.ENOENT) return { bytes: 0, files: 0, limit: 0 };
  if (failed !== 0) throw systemCallError("quotactl_fd", {}, failed);
  const field = (place: number) => Number(record.getBigUint64(place, true));
  return {
    bytes: field(quotaRecord.blocks) * basicBlock,
    files: field(quotaRecord.files),
    limit: Math.max(field(quotaRecord.hardBlocks), field(quotaRecord.softBlocks)) * basicBlock,
  };
}

/** @param file any of the file system's @param bytes 0 for no limit @throws SystemCallError */
export function limitProject(file: OwnedFd, project: number, bytes: number): void {
  const record = new DataView(new ArrayBuffer(quotaRecord.size));
  record.setInt8(quotaRecord.version, recordVersion);
  record.setInt8(quotaRecord.flags, isProjectRecord);
  record.setUint16(quotaRecord.fields, limitFields, true);
  record.setUint32(quotaRecord.id, project, true);
  const blocks = BigInt(Math.ceil(bytes / basicBlock));
  record.setBigUint64(quotaRecord.hardBlocks, blocks, true);
  record.setBigUint64(quotaRecord.softBlocks, blocks, true);
  const failed = quotactl(file, setLimit, project, record);
  if (failed !== 0) throw systemCallError("quotactl_fd", {}, failed);
}

function attributes(file: OwnedFd): DataView<ArrayBuffer> {
  const record = new DataView(new ArrayBuffer(attributesSize));
  if (libc.ioctl(file.number, FS_IOC_FSGETXATTR, record) < 0) throw systemCallError("ioctl FS_IOC_FSGETXATTR");
  return record;
}

/** quotactl_fd(2), Linux 5.14: no device file has to be found. @returns the error's number, 0 without one */
function quotactl(file: OwnedFd, what: number, id: number, buffer: DataView<ArrayBuffer>): number {
  const address = ptr(buffer);
  const result = libc.syscall(syscallNumber("quotactl_fd"), file.number, what, id, address, 0, 0);
  return Number(result) < 0 ? errno() : 0;
}

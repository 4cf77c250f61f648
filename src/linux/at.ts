import { ptr } from "bun:ffi";
import { readdirSync } from "node:fs";
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
} from "./constants.ts";
import { errnos, systemCallError } from "./errno.ts";
import { OwnedFd } from "./fd.ts";
import { cString, errno, libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

/**
 * File operations on one name inside an open directory, for trees that an image or a container controls: nothing here
 * follows a symbolic link, and no name may hold a slash.
 *
 * Names are byte strings (every character stands for one byte, "latin1"), because Linux's names need not be UTF-8.
 */
export type ByteString = string;

const dotAllowed = /[/\0]/;

function nameBytes(name: ByteString): Buffer {
  if (name === "" || dotAllowed.test(name)) throw new TypeError(`not a file name: ${JSON.stringify(name)}`);
  return Buffer.from(`${name}\0`, "latin1");
}

/** A text as the byte string of its UTF-8 form. */
export function toByteString(text: string): ByteString {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** A byte string as text for people; bytes that are not UTF-8 become U+FFFD. */
export function fromByteString(bytes: ByteString): string {
  return Buffer.from(bytes, "latin1").toString("utf8");
}

/**
 * Opens `name` inside the directory, never through a symbolic link.
 * @param flags of open(2); O_CLOEXEC and O_NOFOLLOW are added
 * @returns undefined when there is nothing of that name
 * @throws SystemCallError
 */
export function tryOpenAt(directory: number, name: ByteString, flags: number, mode = 0): OwnedFd | undefined {
  for (;;) {
    const fd = libc.openat(directory, nameBytes(name), flags | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd >= 0) return new OwnedFd(fd);
    const number = errno();
    if (number === errnos.ENOENT) return undefined;
    if (number !== errnos.EINTR) throw systemCallError("openat", { path: fromByteString(name) }, number);
  }
}

/** As {@link tryOpenAt}; that nothing has the name is an error too. */
export function openAt(directory: number, name: ByteString, flags: number, mode = 0): OwnedFd {
  const file = tryOpenAt(directory, name, flags, mode);
  if (file === undefined) throw systemCallError("openat", { path: fromByteString(name) }, errnos.ENOENT);
  return file;
}

/**
 * Opens a path below a directory as if that were the root of all paths: links lead nowhere else, and magic links of a
 * procfs are refused. openat2(2), Linux 5.6
 * @param path a text, or bytes where names need not be text
 * @returns undefined when there is nothing, or nothing that may be opened
 * @throws SystemCallError
 */
export function openInDirectory(directory: number, path: string | Uint8Array, flags: number): OwnedFd | undefined {
  const how = new BigUint64Array([BigInt(flags), 0n, BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)]);
  const name = typeof path === "string" ? cString(path) : Buffer.concat([path, new Uint8Array(1)]);
  for (let attempt = 1; ; attempt++) {
    const openat2 = syscallNumber("openat2");
    const fd = Number(libc.syscall(openat2, directory, ptr(name), ptr(how), how.byteLength, 0, 0));
    if (fd >= 0) return new OwnedFd(fd);
    const number = errno();
    // Something was renamed meanwhile, anywhere: ask again. Not for ever: others may rename without end.
    if ((number === errnos.EAGAIN || number === errnos.EINTR) && attempt < mostAttempts) continue;
    if (notThere.has(number)) return undefined;
    throw systemCallError("openat2", { path: Buffer.from(path).toString() }, number);
  }
}

const mostAttempts = 1000;

const notThere: ReadonlySet<number> = new Set([
  errnos.ENOENT,
  errnos.ENOTDIR,
  errnos.ELOOP,
  errnos.EACCES,
  errnos.ENXIO,
]);

/** Opens a directory by a host path that gocker itself made. @throws SystemCallError */
export function openDirectory(path: string): OwnedFd {
  const fd = libc.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0) throw systemCallError("open", { path });
  return new OwnedFd(fd);
}

/** Opens for reading what an O_PATH descriptor of a regular file stands for. @throws SystemCallError */
export function reopen(fd: number, flags: number): OwnedFd {
  const opened = tryReopen(fd, flags);
  if (opened === undefined) throw systemCallError("open", { path: `/proc/self/fd/${fd}` }, errnos.EAGAIN);
  return opened;
}

/**
 * As {@link reopen}.
 * @returns undefined when opening would wait, with O_NONBLOCK: others have a lease on the file. fcntl(2), F_SETLEASE
 */
export function tryReopen(fd: number, flags: number): OwnedFd | undefined {
  const opened = libc.openat(AT_FDCWD, `/proc/self/fd/${fd}`, flags | O_CLOEXEC, 0);
  if (opened >= 0) return new OwnedFd(opened);
  const number = errno();
  if (number === errnos.EAGAIN) return undefined;
  throw systemCallError("open", { path: `/proc/self/fd/${fd}` }, number);
}

/** The names in an open directory, in no order, without `.` and `..`. */
export function namesIn(directory: number): ByteString[] {
  return readdirSync(`/proc/self/fd/${directory}`, { encoding: "latin1" });
}

/** What the symbolic link behind an O_PATH descriptor says. readlinkat(2) @throws SystemCallError */
export function readLink(fd: number): ByteString {
  const buffer = Buffer.alloc(4097);
  const size = Number(libc.readlinkat(fd, "", buffer, buffer.length));
  if (size < 0) throw systemCallError("readlinkat");
  return buffer.toString("latin1", 0, size);
}

/** @throws SystemCallError */
export function makeDirectoryAt(directory: number, name: ByteString, mode: number): void {
  check(libc.mkdirat(directory, nameBytes(name), mode), "mkdirat", name);
}

/** @param type one of S_IFIFO, S_IFCHR, S_IFBLK, S_IFSOCK. @throws SystemCallError */
export function makeNodeAt(directory: number, name: ByteString, type: number, device: number): void {
  check(libc.mknodat(directory, nameBytes(name), type | 0o600, device), "mknodat", name);
}

/** @throws SystemCallError */
export function makeSymlinkAt(directory: number, name: ByteString, target: ByteString): void {
  check(libc.symlinkat(Buffer.from(`${target}\0`, "latin1"), directory, nameBytes(name)), "symlinkat", name);
}

/** Another name for the file behind an O_PATH descriptor, a symbolic link too. @throws SystemCallError */
export function linkAt(fd: number, directory: number, name: ByteString): void {
  // By the magic link of /proc: with AT_EMPTY_PATH it would need CAP_DAC_READ_SEARCH.
  const followMagicLink = 0x400;
  check(libc.linkat(AT_FDCWD, `/proc/self/fd/${fd}`, directory, nameBytes(name), followMagicLink), "linkat", name);
}

/** The flag of unlinkat(2) that removes a directory. */
export const AT_REMOVEDIR = 0x200;

/** Removes a name. @param flags 0, or {@link AT_REMOVEDIR}. @returns the error number, 0 when it is gone */
export function unlinkAt(directory: number, name: ByteString, flags = 0): number {
  if (libc.unlinkat(directory, nameBytes(name), flags) === 0) return 0;
  const number = errno();
  return number === errnos.ENOENT ? 0 : number;
}

/** Moves a name to another directory, never over something that is there. @returns the error number, 0 when moved */
export function moveAt(from: number, name: ByteString, to: number, newName: ByteString): number {
  const noReplace = 1;
  const source = nameBytes(name);
  const target = nameBytes(newName);
  const result = libc.syscall(syscallNumber("renameat2"), from, ptr(source), to, ptr(target), noReplace, 0);
  return Number(result) === 0 ? 0 : errno();
}

function check(result: number, syscall: string, name: ByteString): void {
  if (result < 0) throw systemCallError(syscall, { path: fromByteString(name) });
}

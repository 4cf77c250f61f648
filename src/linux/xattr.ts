import { ptr } from "bun:ffi";
import { errnos, systemCallError } from "./errno.ts";
import { cString, errno, libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

/** The largest value that Linux stores, and the longest list of names that it gives. XATTR_SIZE_MAX, XATTR_LIST_MAX */
const largest = 65536;

/** Where the attributes of an open file are reached, opened with O_PATH or not: fgetxattr(2) refuses the former. */
function throughProc(fd: number): Buffer {
  return cString(`/proc/self/fd/${fd}`);
}

/**
 * The value of an extended attribute, or undefined when the file has none of that name or its file system knows none.
 * @throws SystemCallError
 */
export function getXattr(fd: number, name: string): Uint8Array | undefined {
  const path = throughProc(fd);
  const key = cString(name);
  let value = new Uint8Array(256);
  for (;;) {
    const size = Number(libc.syscall(syscallNumber("getxattr"), ptr(path), ptr(key), ptr(value), value.length, 0, 0));
    if (size >= 0) return value.subarray(0, size);
    const number = errno();
    if (number === errnos.ENODATA || number === errnos.EOPNOTSUPP) return undefined;
    if (number !== errnos.ERANGE || value.length === largest) throw systemCallError("getxattr", { path: name }, number);
    value = new Uint8Array(largest);
  }
}

/** The names of a file's extended attributes; empty when its file system knows none. @throws SystemCallError */
export function listXattrs(fd: number): string[] {
  const path = throughProc(fd);
  let list = Buffer.alloc(1024);
  for (;;) {
    const size = Number(libc.syscall(syscallNumber("listxattr"), ptr(path), ptr(list), list.length, 0, 0, 0));
    if (size === 0) return [];
    if (size > 0) return list.toString("latin1", 0, size - 1).split("\0");
    const number = errno();
    if (number === errnos.EOPNOTSUPP) return [];
    if (number !== errnos.ERANGE || list.length === largest) throw systemCallError("listxattr", {}, number);
    list = Buffer.alloc(largest);
  }
}

/**
 * Sets an extended attribute of an open file (O_PATH will do). Names are byte strings, as {@link listXattrs} gives them.
 * @throws SystemCallError
 */
export function setXattr(fd: number, name: string, value: Uint8Array): void {
  const path = throughProc(fd);
  const key = Buffer.from(`${name}\0`, "latin1");
  // An empty array has no address.
  const bytes = value.length === 0 ? new Uint8Array(1) : value;
  const result = libc.syscall(syscallNumber("setxattr"), ptr(path), ptr(key), ptr(bytes), value.length, 0, 0);
  if (Number(result) < 0) throw systemCallError("setxattr", { path: name });
}

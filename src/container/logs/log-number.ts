import { errnos } from "../../linux/errno.ts";
import { getXattr, setXattr } from "../../linux/xattr.ts";
import { SystemCallError } from "../../util/errors.ts";

/** Of root's own kind, so that nobody else sees or changes it. xattr(7) */
const name = "trusted.gocker.log";

/**
 * The how manieth file of its log a file is: by that a reader notices that files were removed before it came to them. It
 * goes with the file, whatever its name is. The first one has none, and counts as 0.
 * @throws SystemCallError
 */
export function logNumber(fd: number): number {
  const value = getXattr(fd, name);
  const number = value === undefined ? 0 : Number(new TextDecoder().decode(value));
  return Number.isSafeInteger(number) ? number : 0;
}

/** Numbers a file, where its file system has attributes, and who writes the log may set them. @throws SystemCallError */
export function setLogNumber(fd: number, number: number): void {
  try {
    setXattr(fd, name, new TextEncoder().encode(String(number)));
  } catch (error) {
    const unavailable: readonly number[] = [errnos.EOPNOTSUPP, errnos.EPERM, errnos.ENOSPC, errnos.EDQUOT];
    if (!(error instanceof SystemCallError) || !unavailable.includes(error.errno)) throw error;
  }
}

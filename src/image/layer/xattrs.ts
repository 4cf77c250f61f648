import { ptr } from "bun:ffi";
import type { ByteString } from "../../linux/at.ts";
import { errnos } from "../../linux/errno.ts";
import { cString, errno, libc } from "../../linux/libc.ts";
import { fileCalls } from "../../linux/libc-files.ts";
import { impliedAttribute, incompleteAttribute, opaqueAttribute, yes } from "../../linux/overlay.ts";
import { syscallNumber } from "../../linux/syscalls.ts";
import { layerCallError } from "./layer-error.ts";
import { nameBytes } from "./inspect.ts";
import type { TarXattr } from "./tar/entry.ts";

/**
 * Attributes that an image may not bring. overlayfs's own would let an image pass off its files as markers of overlayfs
 * (redirects lead to other directories of a layer). SELinux labels belong to the machine on which the image was built,
 * NFS's access control lists to its file system.
 */
const refused = /^(?:(?:trusted|user)\.overlay\.|security\.selinux$|system\.nfs4_acl$)/;

const opaque = cString(opaqueAttribute);
const implied = cString(impliedAttribute);
const incomplete = cString(incompleteAttribute);

/** Makes an open directory hide what lower layers have in theirs. overlayfs.rst, "opaque". @throws SystemCallError */
export function markOpaque(directory: number, path: ByteString): void {
  mark(directory, opaque, path);
}

/** Says that the layer does not name an open directory that it has files in. @throws SystemCallError */
export function markImplied(directory: number, path: ByteString): void {
  mark(directory, implied, path);
}

/** Says on the layer's root that directories below it are implied. @throws SystemCallError */
export function markIncomplete(root: number): void {
  mark(root, incomplete, "");
}

/** The layer names the directory after all. @throws SystemCallError */
export function unmarkImplied(directory: number, path: ByteString): void {
  const number = syscallNumber("fremovexattr");
  if (Number(libc.syscall(number, directory, ptr(implied), 0, 0, 0, 0)) === 0) return;
  if (errno() !== errnos.ENODATA) throw layerCallError("fremovexattr", path);
}

function mark(directory: number, attribute: Buffer, path: ByteString): void {
  if (fileCalls.fsetxattr(directory, attribute, yes, yes.length, 0) < 0) throw layerCallError("fsetxattr", path);
}

/**
 * Gives a layer's file its extended attributes. What cannot be kept here is left out, as by containerd and umoci: those
 * that the file system does not have, `user.` on what is neither file nor directory, and {@link refused} ones.
 * @param target an open file or directory; or the bytes of a path whose last part may be a link, which is not followed
 * @returns how many were left out
 * @throws SystemCallError
 */
export function setXattrs(target: number | Buffer, xattrs: readonly TarXattr[], path: ByteString): number {
  let left = 0;
  for (const { name, value } of xattrs) {
    if (refused.test(name)) {
      left++;
      continue;
    }
    const key = nameBytes(name);
    // An empty array has no address to give to the kernel.
    const bytes = value.length === 0 ? yes : value;
    const result =
      typeof target === "number"
        ? fileCalls.fsetxattr(target, key, bytes, value.length, 0)
        : fileCalls.lsetxattr(target, key, bytes, value.length, 0);
    if (result === 0) continue;
    const number = errno();
    const isKnown = number === errnos.EOPNOTSUPP || (number === errnos.EPERM && name.startsWith("user."));
    if (!isKnown) throw layerCallError(`set the attribute ${name} of`, path, number);
    left++;
  }
  return left;
}

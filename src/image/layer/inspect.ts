import { lstatSync } from "node:fs";
import type { ByteString } from "../../linux/at.ts";
import { errnos } from "../../linux/errno.ts";
import { errno, libc } from "../../linux/libc.ts";
import { layerCallError } from "./layer-error.ts";

/**
 * What the symbolic link `name` of an open directory says; undefined when it is no link.
 * @throws SystemCallError
 */
export function readLinkAt(directory: number, name: ByteString): ByteString | undefined {
  const buffer = Buffer.alloc(4096);
  const size = Number(libc.readlinkat(directory, nameBytes(name), buffer, buffer.length));
  if (size >= 0) return buffer.toString("latin1", 0, size);
  if (errno() === errnos.EINVAL) return undefined;
  throw layerCallError("readlinkat", name);
}

/** Whether `name` of an open directory hides lower layers' one: a character device 0/0. overlayfs.rst, "whiteouts" */
export function isWhiteoutAt(directory: number, name: ByteString): boolean {
  const stats = lstatSync(procPath(directory, name), { throwIfNoEntry: false });
  return stats !== undefined && stats.isCharacterDevice() && stats.rdev === 0;
}

/** A name as the kernel takes it: NUL-terminated bytes. */
export function nameBytes(name: ByteString): Buffer {
  return Buffer.from(`${name}\0`, "latin1");
}

/** A path to `name` of an open directory, for calls that take no directory. The last part may be a link: not followed. */
export function procPath(directory: number, name: ByteString): Buffer {
  return Buffer.from(`/proc/self/fd/${directory}/${name}`, "latin1");
}

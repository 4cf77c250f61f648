import type { ByteString } from "../../linux/at.ts";
import { systemCallError } from "../../linux/errno.ts";
import type { SystemCallError } from "../../util/errors.ts";
import { printable } from "./entry-path.ts";

/**
 * The error for a system call that failed on a layer's file.
 * @param number the error number; when left out, what the last call of libc on this thread set
 */
export function layerCallError(syscall: string, path: ByteString, number?: number): SystemCallError {
  return systemCallError(syscall, { path: printable(path), step: "unpack a layer" }, number);
}

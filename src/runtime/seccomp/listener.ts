import { SECCOMP_FILTER_FLAG_NEW_LISTENER } from "../../linux/constants.ts";
import type { Seccomp } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { SeccompFilter } from "./compile.ts";

/** Who is asked what becomes of the calls that a filter notifies of. */
export interface SeccompListener {
  /** Of the unix socket on which it takes the filters' descriptors. */
  readonly path: string;
  /** Handed on as it is. */
  readonly metadata: string | undefined;
}

/**
 * Whom a configuration wants to be asked; undefined when it asks nobody, and `listenerPath` is to be ignored then.
 * OCI runtime specification, config-linux.md, "Seccomp"
 * @throws InvalidDocumentError one of the properties is without the other that it needs
 */
export function listenerOf(seccomp: Seccomp | undefined): SeccompListener | undefined {
  if (seccomp === undefined) return undefined;
  const { listenerPath: path, listenerMetadata: metadata, syscalls } = seccomp;
  if (path === undefined && metadata !== undefined) {
    throw new InvalidDocumentError("linux.seccomp.listenerMetadata must not be set without linux.seccomp.listenerPath");
  }
  if (syscalls?.some(({ action }) => action === "SCMP_ACT_NOTIFY") !== true) return undefined;
  if (path !== undefined) return { path, metadata };
  throw new InvalidDocumentError("linux.seccomp.listenerPath is missing: SCMP_ACT_NOTIFY needs somebody to be asked");
}

/** Whether seccomp(2) gives a listener's descriptor for the filter. */
export function notifies(filter: SeccompFilter | undefined): boolean {
  return filter !== undefined && (filter.flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) !== 0;
}

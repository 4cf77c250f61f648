import type { Seccomp, SeccompAction } from "../../oci/runtime-spec.ts";
import { errnos } from "../../linux/errno.ts";
import { InvalidDocumentError } from "../../util/errors.ts";

/** What a filter returns for an action; the low 16 bits of some carry data. linux/seccomp.h, SECCOMP_RET_* */
export const returns: Readonly<Record<SeccompAction, number>> = {
  SCMP_ACT_KILL: 0x00000000,
  SCMP_ACT_KILL_THREAD: 0x00000000,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: 0x00050000,
  SCMP_ACT_NOTIFY: 0x7fc00000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
};

/** The return values that the compiler itself uses. */
export const killProcess = returns.SCMP_ACT_KILL_PROCESS;
export const refuseAsUnknown = returns.SCMP_ACT_ERRNO | errnos.ENOSYS;

/** The kernel takes no larger error number from a filter. linux/err.h, MAX_ERRNO */
const maxErrno = 4095;
/** The data of a return value has 16 bits. linux/seccomp.h, SECCOMP_RET_DATA */
const maxData = 0xffff;

/**
 * The value that a filter returns for an action of a profile. `data` is the error number for ERRNO and a message to the
 * tracer for TRACE, EPERM when absent; no other action takes any. Throws InvalidDocumentError.
 */
export function returnValue(action: SeccompAction, data: number | undefined): number {
  // The profile comes from a file: its action may be any text.
  const value: number | undefined = Object.hasOwn(returns, action) ? returns[action] : undefined;
  if (value === undefined) throw new InvalidDocumentError(`unknown seccomp action ${JSON.stringify(action)}`);
  const takesData = action === "SCMP_ACT_ERRNO" || action === "SCMP_ACT_TRACE";
  if (!takesData) {
    if (data !== undefined) throw new InvalidDocumentError(`the seccomp action ${action} takes no errnoRet`);
    return value;
  }
  const max = action === "SCMP_ACT_ERRNO" ? maxErrno : maxData;
  if (data !== undefined && !(Number.isInteger(data) && data >= 0 && data <= max)) {
    throw new InvalidDocumentError(`errnoRet of the seccomp action ${action} must be 0 to ${max}, not ${data}`);
  }
  return value | (data ?? errnos.EPERM);
}

/** Whether a call with this action is carried out after all: then one unknown to the profile needs no other answer. */
export function letsThrough(action: SeccompAction): boolean {
  return action === "SCMP_ACT_ALLOW" || action === "SCMP_ACT_LOG" || action === "SCMP_ACT_TRACE";
}

/** Flags of seccomp(2), SECCOMP_SET_MODE_FILTER. linux/seccomp.h */
export const flagBits: Readonly<Record<string, number>> = {
  // All threads of the process: it has one.
  SECCOMP_FILTER_FLAG_TSYNC: 0,
  SECCOMP_FILTER_FLAG_LOG: 1 << 1,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 1 << 2,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 1 << 5,
};
const newListener = 1 << 3;

/**
 * The flags for seccomp(2). Without a list of them, SPEC_ALLOW, as runc and crun do: a container gets no slower for
 * being filtered. A rule that notifies makes the call return the listener's file descriptor (NEW_LISTENER).
 * Throws InvalidDocumentError for an unknown one.
 */
export function filterFlags(seccomp: Seccomp): number {
  let flags = 0;
  for (const [index, name] of (seccomp.flags ?? ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]).entries()) {
    const bit = Object.hasOwn(flagBits, name) ? flagBits[name] : undefined;
    if (bit === undefined) {
      throw new InvalidDocumentError(`linux.seccomp.flags[${index}]: unknown seccomp flag ${JSON.stringify(name)}`);
    }
    flags |= bit;
  }
  if (seccomp.syscalls?.some(({ action }) => action === "SCMP_ACT_NOTIFY")) flags |= newListener;
  return flags;
}

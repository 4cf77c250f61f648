import { errnos } from "../../linux/errno.ts";
import { GockerError, type GockerErrorOptions } from "../../util/errors.ts";

/** What hinders the use of cgroups: see {@link CgroupError}. */
export type CgroupErrorCode =
  /** No cgroup file system is mounted, or not the one that is needed. */
  | "CGROUPS_NOT_MOUNTED"
  /** They are mounted, but this process may not make cgroups in them. */
  | "CGROUPS_NOT_WRITABLE"
  /** The host's version of cgroups, or its kernel, cannot do what is asked for. */
  | "CGROUPS_UNABLE"
  /** Processes that are not the container's own, or do not end, are in its cgroup. */
  | "CGROUP_IN_USE";

/** A container's cgroup cannot be had, or cannot be what it was asked to be; `code` says which of the two. */
export class CgroupError extends GockerError {
  override readonly name = "CgroupError";
  declare readonly code: CgroupErrorCode;

  // oxlint-disable-next-line no-useless-constructor -- it narrows the codes
  constructor(code: CgroupErrorCode, message: string, options?: GockerErrorOptions) {
    super(code, message, options);
  }
}

/** The error for a host without any cgroup file system. */
export function notMounted(): CgroupError {
  return new CgroupError("CGROUPS_NOT_MOUNTED", "no cgroup file system is mounted on this host", {
    hint:
      "mount one with `mount -t cgroup2 cgroup2 /sys/fs/cgroup`; " +
      "--privileged containers without limits run without cgroups",
  });
}

/** What to do when the kernel refuses to change a cgroup with this error number. */
export function hintFor(errno: number): string | undefined {
  switch (errno) {
    case errnos.EROFS:
      return "the cgroup file systems are mounted read-only, as inside most containers; run gocker on the host or in a --privileged container";
    case errnos.EACCES:
    case errnos.EPERM:
      return process.getuid?.() === 0
        ? "inside of another container, gocker can change cgroups only if that one is --privileged"
        : "a user may only change cgroups that are given to it (delegation): run gocker with sudo, or without limits";
    case errnos.ENOSPC:
      return "the cgroup limit of the host is reached (cgroup.max.descendants, cgroup.max.depth), or a cpuset has no CPUs or memory nodes";
    default:
      return undefined;
  }
}

/** Whether an error means that the cgroup is not, or no longer, there. */
export function isGone(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOENT" || code === "ENODEV";
}

/** Whether an error means that gocker may not use the host's cgroups: for lack of rights, or of cgroups. */
export function isRefusal(error: unknown): boolean {
  return refusals.has(codeOf(error) ?? "");
}

const refusals: ReadonlySet<string> = new Set([
  "CGROUPS_NOT_WRITABLE",
  "CGROUPS_NOT_MOUNTED",
  "EACCES",
  "EPERM",
  "EROFS",
]);

/** The name of a system call's error number. */
export function codeOf(error: unknown): string | undefined {
  return (error as { code?: string } | undefined)?.code;
}

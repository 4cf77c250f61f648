import { fstatSync, statfsSync, statSync } from "node:fs";
import {
  AT_FDCWD,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  NS_GET_NSTYPE,
  NSFS_MAGIC,
  O_CLOEXEC,
  O_RDONLY,
} from "./constants.ts";
import { errnos, systemCallError } from "./errno.ts";
import { OwnedFd } from "./fd.ts";
import { errno, libc } from "./libc.ts";

/** What a file is as a namespace, such as /proc/1/ns/net or what `ip netns` binds below /run/netns. */
export interface NamespaceFile {
  /** The CLONE_NEW… flag of its type. */
  readonly type: number;
  /** gocker itself is in it. */
  readonly isOwn: boolean;
}

/** The kinds of namespaces, by their names in /proc/PID/ns. namespaces(7) */
export const namespaceFlags = {
  user: CLONE_NEWUSER,
  net: CLONE_NEWNET,
  ipc: CLONE_NEWIPC,
  uts: CLONE_NEWUTS,
  cgroup: CLONE_NEWCGROUP,
  time: CLONE_NEWTIME,
  pid: CLONE_NEWPID,
  mnt: CLONE_NEWNS,
} as const;

/**
 * What is at a path of the host. Anything but a namespace is not even opened. ioctl_ns(2), Linux 4.11
 * @returns "missing" when there is nothing, and undefined when it is something else than a namespace
 * @throws SystemCallError, or an error of node:fs, when it cannot be looked at
 */
export function namespaceAt(path: string): NamespaceFile | "missing" | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (found === undefined) return "missing";
  if (statfsSync(path).type !== NSFS_MAGIC) return undefined;
  const fd = libc.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) throw systemCallError("open", { path });
  using file = new OwnedFd(fd);
  const type = libc.ioctl(file.number, NS_GET_NSTYPE, new Uint8Array(0));
  if (type < 0) throw systemCallError("ioctl", { path });
  return { type, isOwn: Object.keys(namespaceFlags).some((name) => isGockers(name, found)) };
}

/** The names that namespaces have in /proc/PID/ns. */
export type NamespaceName = keyof typeof namespaceFlags;

/** A namespace of a process, open until it is disposed of, and whether gocker itself is in it. */
export interface OpenNamespace extends Disposable {
  readonly file: OwnedFd;
  readonly isOwn: boolean;
}

/**
 * Opens a namespace that a process is in. Whose number it is by now the caller makes sure of afterwards: see `stillRuns`.
 * @returns undefined when there is no such process, or it has ended
 * @throws SystemCallError
 */
export function openNamespaceOf(pid: number, name: NamespaceName): OpenNamespace | undefined {
  const path = `/proc/${pid}/ns/${name}`;
  const number = libc.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (number < 0) {
    const reason = errno();
    if (reason === errnos.ENOENT || reason === errnos.ESRCH) return undefined;
    throw systemCallError("open", { path }, reason);
  }
  const file = new OwnedFd(number);
  const isOwn = isGockers(name, fstatSync(number, { bigint: true }));
  return { file, isOwn, [Symbol.dispose]: () => file.close() };
}

/** Whether gocker is in the namespace of a kind that has this file. */
function isGockers(name: string, { dev, ino }: { readonly dev: bigint; readonly ino: bigint }): boolean {
  const own = statSync(`/proc/self/ns/${name}`, { bigint: true, throwIfNoEntry: false });
  return own?.ino === ino && own.dev === dev;
}

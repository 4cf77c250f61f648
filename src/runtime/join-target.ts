import { statSync } from "node:fs";
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from "../linux/constants.ts";
import { systemCallError } from "../linux/errno.ts";
import { OwnedFd } from "../linux/fd.ts";
import { libc } from "../linux/libc.ts";
import { namespaceFlags } from "../linux/namespace.ts";
import { sendSignal } from "../linux/process.ts";
import { deniesSetgroups } from "../linux/user-namespace.ts";
import type { JoinTarget } from "./plan/join.ts";
import type { LiveContainer } from "./live-container.ts";

/** The descriptors of a {@link JoinTarget}, closed together. */
export interface OpenJoinTarget extends JoinTarget, Disposable {}

/**
 * A container as another process can enter it.
 * @returns undefined when its first process has ended
 * @throws SystemCallError
 */
export function openJoinTarget(container: Pick<LiveContainer, "pid" | "openProcess">): OpenJoinTarget | undefined {
  using cleanup = new DisposableStack();
  const pidfd = container.openProcess();
  if (pidfd === undefined) return undefined;
  cleanup.use(pidfd);
  const { pid } = container;
  const number = libc.openat(AT_FDCWD, `/proc/${pid}/root`, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (number < 0) throw systemCallError("open", { path: `/proc/${pid}/root` });
  const root = cleanup.use(new OwnedFd(number));
  let namespaces = 0;
  for (const [name, flag] of Object.entries(namespaceFlags)) if (isAnother(name, pid)) namespaces |= flag;
  const setgroupsDenied = deniesSetgroups(pid);
  // What was read is this process's if it still lives: its number is not used again before that.
  if (!sendSignal(pidfd, 0)) return undefined;
  const owned = cleanup.move();
  const close = () => owned.dispose();
  return { pidfd: pidfd.number, root: root.number, namespaces, setgroupsDenied, [Symbol.dispose]: close };
}

/** Whether a process is in another namespace of a kind than this one. Kernels may lack a kind. */
function isAnother(name: string, pid: number): boolean {
  const theirs = statSync(`/proc/${pid}/ns/${name}`, { bigint: true, throwIfNoEntry: false });
  const ours = statSync(`/proc/self/ns/${name}`, { bigint: true, throwIfNoEntry: false });
  return theirs !== undefined && ours !== undefined && theirs.ino !== ours.ino;
}

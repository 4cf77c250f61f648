import { systemCallError, errnos } from "../errno.ts";
import { OwnedFd, readSome, waitReadable } from "../fd.ts";
import { openPidfd, reap } from "../process.ts";

/** The process that a plan goes on in, when it has made another one for the rest of itself. */
export interface ChildOfPlan {
  /** Its number in gocker's pid namespace; it is gocker's child. */
  readonly pid: number;
  readonly pidfd: OwnedFd;
}

/**
 * Takes over the child that a launched process has made by clone(2) with CLONE_PARENT, and that has told its number: see
 * `addNamespaces` in runtime/plan/namespaces.ts. The process that made it is waited for.
 * @param launched the number of the process that was launched
 * @param reader the reading end of the pipe that the plan tells the number by; nobody else may have the writing end open
 * @returns undefined when the plan ended before it: its status tells why, and the launched process is not waited for
 * @throws SystemCallError
 */
export async function adoptChild(launched: number, reader: OwnedFd): Promise<ChildOfPlan | undefined> {
  await waitReadable(reader.number);
  // A pipe keeps so small a write in one piece. pipe(7), PIPE_BUF
  const pid = Number(Buffer.from(readSome(reader.number, new Uint8Array(32))).toString("latin1"));
  if (pid === 0) return undefined;
  reap(launched);
  // It may have ended already, but keeps its number until it is waited for.
  const pidfd = openPidfd(pid);
  if (pidfd === undefined) throw systemCallError("pidfd_open", { path: String(pid) }, errnos.ESRCH);
  return { pid, pidfd: new OwnedFd(pidfd) };
}

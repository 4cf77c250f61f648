import { AT_FDCWD, CLONE_NEWUSER, O_CLOEXEC, O_RDONLY } from "../constants.ts";
import { systemCallError } from "../errno.ts";
import { createPipe, type FdPair, OwnedFd } from "../fd.ts";
import { libc } from "../libc.ts";
import { reap } from "../process.ts";
import { deniesSetgroups, type IdMappings, idMappingsOf } from "../user-namespace.ts";
import { type LaunchedProcess, launch } from "./launch.ts";
import { pauseSteps, type Step } from "./plan.ts";

const inside = 1;

/** A user namespace that nobody has to be in. */
export interface MappedNamespace {
  readonly file: OwnedFd;
  /** See `deniesSetgroups`. */
  readonly setgroupsDenied: boolean;
}

/**
 * A user namespace that nobody is in. A process of a few kilobytes has to be in it while it is mapped.
 * @param map maps its IDs, by the number of that process: as for `writeIdMappings`
 * @throws SystemCallError, and what `map` throws
 */
export async function makeMappedNamespace(map: (pid: number) => void): Promise<MappedNamespace> {
  using cleanup = new DisposableStack();
  const pipe = cleanup.use(createPipe());
  const steps = pauseSteps("Let the namespace be mapped and taken", inside, pipe.reader.number);
  const process = launchWaiting(cleanup, pipe, CLONE_NEWUSER, steps);
  // While it is executing the stub its files in /proc are root's alone.
  await process.status.reaches(inside);
  map(process.pid);
  return { setgroupsDenied: deniesSetgroups(process.pid), file: openNamespace(`/proc/${process.pid}/ns/user`) };
}

/** A process that ends when gocker closes the pipe, of which it alone has the writing end, or dies. */
function launchWaiting(
  cleanup: DisposableStack,
  pipe: FdPair,
  namespaces: number,
  steps: readonly Step[],
  descriptors: readonly number[] = [],
): LaunchedProcess {
  const process = cleanup.use(
    launch({ namespaces, steps, stdio: [0, 1, 2], descriptors: [pipe.reader.number, ...descriptors] }),
  );
  cleanup.defer(() => {
    pipe.writer.close();
    reap(process.pid);
  });
  return process;
}

/** A namespace by its file. @throws SystemCallError */
export function openNamespace(path: string): OwnedFd {
  const number = libc.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (number < 0) throw systemCallError("open", { path });
  return new OwnedFd(number);
}

/** What can be said of a user namespace only by a process that is in it. */
export interface NamespaceFacts extends Pick<MappedNamespace, "setgroupsDenied"> {
  readonly mappings: IdMappings;
}

/**
 * What is to be known of a user namespace in which there may be nobody, by a process that enters it.
 * @returns undefined when it cannot be entered
 */
export async function factsOfNamespace(namespace: OwnedFd): Promise<NamespaceFacts | undefined> {
  using cleanup = new DisposableStack();
  const pipe = cleanup.use(createPipe());
  const enter: Step = {
    label: "Enter the user namespace",
    group: "namespaces",
    syscall: "setns",
    args: [namespace.number, CLONE_NEWUSER],
  };
  const steps = [enter, ...pauseSteps("Let its mappings be read", inside, pipe.reader.number)];
  const process = launchWaiting(cleanup, pipe, 0, steps, [namespace.number]);
  if (!(await process.status.reaches(inside))) return undefined;
  const mappings = idMappingsOf(process.pid);
  return mappings && { mappings, setgroupsDenied: deniesSetgroups(process.pid) };
}

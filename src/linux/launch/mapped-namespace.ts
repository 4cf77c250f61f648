import { AT_FDCWD, CLONE_NEWUSER, O_CLOEXEC, O_RDONLY } from "../constants.ts";
import { systemCallError } from "../errno.ts";
import { createPipe, type FdPair, OwnedFd } from "../fd.ts";
import { libc } from "../libc.ts";
import { reap } from "../process.ts";
import { type IdMappings, type IdRange, idMappingsOf, writeIdMappings } from "../user-namespace.ts";
import { type LaunchedProcess, launch } from "./launch.ts";
import { pauseSteps, type Step } from "./plan.ts";

/**
 * A user namespace that nobody is in. A process of a few kilobytes has to be in it while it is mapped.
 * @throws SystemCallError
 */
export function makeMappedNamespace(uidMappings: readonly IdRange[], gidMappings: readonly IdRange[]): OwnedFd {
  using cleanup = new DisposableStack();
  const pipe = cleanup.use(createPipe());
  const buffer = new Uint8Array(1);
  const process = launchWaiting(cleanup, pipe, CLONE_NEWUSER, [
    {
      label: "Wait for the namespace to be taken",
      group: "process",
      syscall: "read",
      args: [pipe.reader.number, buffer, buffer.length],
    },
  ]);
  writeIdMappings(process.pid, uidMappings, gidMappings);
  return openNamespace(`/proc/${process.pid}/ns/user`);
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

/**
 * The mappings of a user namespace in which there may be nobody, by a process that enters it.
 * @returns undefined when it cannot be entered
 */
export async function mappingsOfNamespace(namespace: OwnedFd): Promise<IdMappings | undefined> {
  using cleanup = new DisposableStack();
  const pipe = cleanup.use(createPipe());
  const inside = 1;
  const enter: Step = {
    label: "Enter the user namespace",
    group: "namespaces",
    syscall: "setns",
    args: [namespace.number, CLONE_NEWUSER],
  };
  const steps = [enter, ...pauseSteps("Let its mappings be read", inside, pipe.reader.number)];
  const process = launchWaiting(cleanup, pipe, 0, steps, [namespace.number]);
  return (await process.status.reaches(inside)) ? idMappingsOf(process.pid) : undefined;
}

import { AT_FDCWD, CLONE_NEWUSER, O_CLOEXEC, O_RDONLY } from "../constants.ts";
import { systemCallError } from "../errno.ts";
import { createPipe, OwnedFd } from "../fd.ts";
import { libc } from "../libc.ts";
import { reap } from "../process.ts";
import { type IdRange, writeIdMappings } from "../user-namespace.ts";
import { launch } from "./launch.ts";

/**
 * A user namespace that nobody is in, for its mappings alone: a mount takes them, see mount_setattr(2),
 * "ID-mapped mounts". A process of a few kilobytes has to be in it while it is mapped.
 * @throws SystemCallError
 */
export function makeMappedNamespace(uidMappings: readonly IdRange[], gidMappings: readonly IdRange[]): OwnedFd {
  using cleanup = new DisposableStack();
  // gocker alone has the writing end, and writes nothing: reading ends when gocker closes it, or dies.
  const pipe = cleanup.use(createPipe());
  const buffer = new Uint8Array(1);
  const process = cleanup.use(
    launch({
      namespaces: CLONE_NEWUSER,
      steps: [
        {
          label: "Wait for the namespace to be taken",
          group: "process",
          syscall: "read",
          args: [pipe.reader.number, buffer, buffer.length],
        },
      ],
      stdio: [0, 1, 2],
      descriptors: [pipe.reader.number],
    }),
  );
  cleanup.defer(() => {
    pipe.writer.close();
    reap(process.pid);
  });
  writeIdMappings(process.pid, uidMappings, gidMappings);
  const path = `/proc/${process.pid}/ns/user`;
  const number = libc.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (number < 0) throw systemCallError("open", { path });
  return new OwnedFd(number);
}

import { AT_FDCWD, CLONE_NEWNS, O_CLOEXEC, O_DIRECTORY, O_PATH, SIGKILL } from "../linux/constants.ts";
import { systemCallError } from "../linux/errno.ts";
import { createPipe, openNull, OwnedFd } from "../linux/fd.ts";
import { launch } from "../linux/launch/launch.ts";
import { libc } from "../linux/libc.ts";
import { reap, sendSignal } from "../linux/process.ts";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import { GockerError } from "../util/errors.ts";
import { mountFacts } from "./container-process.ts";
import { launchError } from "./errors.ts";
import type { ConfinedPath } from "./plan/mount-context.ts";
import { buildViewPlan, viewIsThere } from "./plan/view-plan.ts";
import type { RootFileSystem } from "./root.ts";

/** The files of a container, until this is disposed of. */
export interface FileView extends Disposable {
  /** Its root directory: no path below it is to be resolved in any other way than `openInDirectory`'s. */
  readonly root: OwnedFd;
}

/** Of a container that does not run. */
export interface ViewOptions {
  readonly spec: RuntimeSpec;
  readonly root: RootFileSystem;
  /** See `MountFacts.resolveTarget`. */
  resolveTarget(path: string): string;
  /** See `MountFacts.confined`. */
  confined?(source: string): ConfinedPath | undefined;
}

/**
 * Mounts the files of a container that does not run, with its volumes: in a mount namespace of their own, of which nobody
 * but a process of a few kilobytes is. Nobody else may mount or start the container meanwhile.
 * @throws SystemCallError, InvalidDocumentError, NotFoundError what the host is to give it cannot be mounted
 */
export async function mountView(options: ViewOptions): Promise<FileView> {
  const { spec, root } = options;
  using cleanup = new DisposableStack();
  const release = cleanup.use(createPipe());
  using nothing = openNull();
  const { steps, parts } = buildViewPlan(
    spec,
    root,
    { ...mountFacts(options), cgroupView: undefined },
    release.reader.number,
  );
  const holder = cleanup.use(
    launch({
      namespaces: CLONE_NEWNS,
      steps,
      stdio: [nothing.number, nothing.number, nothing.number],
      descriptors: [release.reader.number],
    }),
  );
  cleanup.defer(() => {
    sendSignal(holder.pidfd, SIGKILL);
    reap(holder.pid);
  });
  if (!(await holder.status.reaches(viewIsThere))) {
    const error = launchError(await holder.status.outcome(), "", { steps, parts });
    throw error ?? new GockerError("VIEW", "the process that holds the container's files has ended");
  }
  const directory = cleanup.use(openRootOf(holder.pid));
  const owned = cleanup.move();
  return { root: directory, [Symbol.dispose]: () => owned.dispose() };
}

/** The root directory of a process, with the mounts that it sees. The caller makes sure that the number is its own. */
export function openRootOf(pid: number): OwnedFd {
  const path = `/proc/${pid}/root`;
  const number = libc.openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (number < 0) throw systemCallError("open", { path });
  return new OwnedFd(number);
}

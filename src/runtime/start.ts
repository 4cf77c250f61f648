import { unlinkSync } from "node:fs";
import { AT_FDCWD, O_CLOEXEC, O_NONBLOCK, O_WRONLY, SIGKILL } from "../linux/constants.ts";
import { errnos, systemCallError } from "../linux/errno.ts";
import { OwnedFd } from "../linux/fd.ts";
import { errno, libc } from "../linux/libc.ts";
import type { Hook } from "../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../util/errors.ts";
import { enterContainer } from "./enter.ts";
import { withEnvironment } from "./environment.ts";
import { hookArguments, runHooks } from "./hooks.ts";
import { openJoinTarget } from "./join-target.ts";
import { knownCapabilities } from "./known-capabilities.ts";
import { ociState } from "./oci-state.ts";
import type { PlannedProcess } from "./planned-process.ts";
import { ContainerStateError, type RuntimeContainer } from "./runtime-container.ts";

/**
 * Lets the program of a container that was created begin. The caller holds the container's lock.
 * OCI runtime specification, runtime.md, "Start": `startContainer` hooks before it, `poststart` hooks after it
 * @throws ContainerStateError it is not waiting to be started; HookError a hook failed: the program has not begun, or is
 *   ended. The signal's reason: likewise
 * @param signal ends the hooks
 */
export async function startContainer(container: RuntimeContainer, signal?: AbortSignal): Promise<void> {
  const status = container.status();
  if (status !== "created")
    throw new ContainerStateError(container.id, status, "only one that was created can be started");
  const { hooks, process } = container.readSpec();
  if (process === undefined) throw new InvalidDocumentError("process: nothing to execute");
  await runHooks(hooks, "startContainer", ociState(container.state, "created"), {
    start: (hook, stdio) => startInContainer(container, hook, stdio),
    signal,
  });
  release(container);
  try {
    await runHooks(hooks, "poststart", ociState(container.state, "running"), { signal });
  } catch (error) {
    // runtime.md, "Lifecycle": the container is stopped then.
    container.signal(SIGKILL);
    throw error;
  }
}

/**
 * A hook whose file is the container's, which an image has brought: it may do what the container's program may, and no
 * more. It has that one's environment unless it is given another.
 */
async function startInContainer(
  container: RuntimeContainer,
  hook: Hook,
  stdio: readonly [number, number, number],
): Promise<PlannedProcess> {
  const { process } = container.readSpec();
  using target = openJoinTarget(container);
  if (target === undefined || process === undefined) {
    throw new ContainerStateError(container.id, "stopped", "it ended before it was started");
  }
  const { consoleSize: _, terminal: __, ...like } = knownCapabilities(process);
  using cgroup = container.cgroup();
  return await enterContainer(container, {
    target,
    cgroup,
    process: { ...like, env: hook.env ?? withEnvironment(process, target.root).env ?? [], args: hookArguments(hook) },
    file: hook.path,
    stdio,
    newKeyring: true,
    preservedDescriptors: 0,
  });
}

/**
 * A writer that comes is what the container waits for. Without a reader, opening for writing fails with ENXIO. fifo(7)
 * @throws ContainerStateError a process of the container's that may trace others has let the program begin
 */
function release(container: RuntimeContainer): void {
  const path = container.startFifo;
  const step = "let the container's program begin";
  const number = libc.openat(AT_FDCWD, path, O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0);
  if (number < 0 && errno() === errnos.ENXIO) {
    throw new ContainerStateError(container.id, container.status(), "its first process does not wait to be started");
  }
  if (number < 0) throw systemCallError("open", { step, path });
  using _writer = new OwnedFd(number);
  // Without the file the container counts as running: before it does run, so that nobody finds it in between.
  unlinkSync(path);
  // What is full has something in it to wake the reader, whoever has written that.
  if (Number(libc.write(number, new Uint8Array(1), 1)) < 0 && errno() !== errnos.EAGAIN) {
    throw systemCallError("write", { step, path });
  }
}

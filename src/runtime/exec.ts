import { hostIdOf, idMappingsOf } from "../linux/user-namespace.ts";
import type { Process } from "../oci/runtime-spec.ts";
import { openExecCgroup, type SubCgroups } from "./cgroup/exec-cgroup.ts";
import { enterContainer } from "./enter.ts";
import { withEnvironment } from "./environment.ts";
import { ownHostRights } from "./host-rights.ts";
import { knownCapabilities } from "./known-capabilities.ts";
import { openJoinTarget } from "./join-target.ts";
import type { PlannedProcess } from "./planned-process.ts";
import type { LiveContainer } from "./live-container.ts";
import { ContainerStateError } from "./runtime-container.ts";
import { checkMappedUser, refuseGroups } from "./users.ts";
import { giveStdio } from "./stdio.ts";

/** What a further process in a container is started with. */
export interface ExecOptions {
  /** The process to be, by the container's root directory: a descriptor. */
  readonly process: (root: number) => Process;
  readonly stdio: readonly [number, number, number];
  /** A socket for the terminal's master side, when `process.terminal` is set. */
  readonly terminalSocket?: number | undefined;
  /** What is written to the terminal comes out without carriage returns. */
  readonly plainOutput: boolean;
  readonly newKeyring: boolean;
  readonly preservedDescriptors: number;
  /** Start it in a paused container too: it stands still there until that goes on. */
  readonly ignorePaused: boolean;
  readonly subCgroups: SubCgroups;
  /** See `Entry.warn`. */
  readonly warn?: ((message: string) => void) | undefined;
}

/**
 * Starts a further process in a container that runs, and returns when its program runs.
 * @throws ContainerStateError the container does not run; ExecutionError the program cannot be executed; SystemCallError
 */
export async function execInContainer(container: LiveContainer, options: ExecOptions): Promise<PlannedProcess> {
  const status = container.status();
  if (status === "stopped" || status === "creating") {
    throw new ContainerStateError(container.id, status, "nothing can be executed in it");
  }
  if (status === "paused" && !options.ignorePaused) {
    throw new ContainerStateError(container.id, status, "cannot exec in a paused container");
  }
  using target = openJoinTarget(container);
  if (target === undefined) throw new ContainerStateError(container.id, "stopped", "nothing can be executed in it");
  // The container's is for processes that say nothing of their own.
  const affinity = container.readSpec().process?.execCPUAffinity;
  const process = withEnvironment(knownCapabilities(options.process(target.root)), target.root);
  const mappings = idMappingsOf(container.pid);
  if (mappings === undefined) throw new ContainerStateError(container.id, "stopped", "nothing can be executed in it");
  checkMappedUser(process.user, mappings);
  if (target.setgroupsDenied === true) refuseGroups(process.user);
  if (process.terminal !== true && ownHostRights().isRoot) {
    giveStdio(options.stdio, hostIdOf(process.user.uid, mappings.uids) ?? 0);
  }
  using own = container.cgroup();
  using cgroup = openExecCgroup(own, container.pid, options.subCgroups);
  return await enterContainer(container, {
    ...options,
    target,
    cgroup,
    process: { ...(affinity !== undefined && { execCPUAffinity: affinity }), ...process },
  });
}

import { existsSync } from "node:fs";
import { SIGKILL } from "../linux/constants.ts";
import { processEnded } from "../linux/process.ts";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import { NotFoundError } from "../util/errors.ts";
import type { Cgroup } from "./cgroup/cgroup.ts";
import { runHooks } from "./hooks.ts";
import { ociState } from "./oci-state.ts";
import { ContainerStateError, type RuntimeContainer } from "./runtime-container.ts";

/**
 * Undoes what creating a container made: its cgroup and its state. The caller holds the container's lock, which ends.
 * OCI runtime specification, runtime.md, "Delete"
 * @param options.force end it first, whatever it does
 * @param options.warn told of `poststop` hooks that fail
 * @throws ContainerStateError it runs, or does not end; CgroupError others of its processes do not end
 */
export async function deleteContainer(
  container: RuntimeContainer,
  options: { readonly force: boolean; readonly warn: (message: string) => void },
): Promise<void> {
  const status = container.status();
  if ((status === "running" || status === "paused") && !options.force) {
    throw new ContainerStateError(container.id, status, "kill it first, or delete it with --force");
  }
  if (status !== "stopped") await end(container);
  await removeCgroup(container);
  await removeMounts(container);
  try {
    await runHooks(specOf(container)?.hooks, "poststop", ociState(container.state, "stopped"));
  } catch (error) {
    options.warn((error as Error).message);
  }
  container.forget();
}

/**
 * Kills all processes of a container, without its lock: of a call that holds it, and waits for what is in the container,
 * that is the end.
 */
export function killAtOnce(container: RuntimeContainer): void {
  container.signal(SIGKILL);
  using cgroup = container.ownCgroup();
  cgroup?.kill();
}

async function end(container: RuntimeContainer): Promise<void> {
  using pidfd = container.openProcess();
  if (pidfd === undefined) return;
  killAtOnce(container);
  const tooLate = Promise.withResolvers<void>();
  const refuse = () => tooLate.reject(doesNotEnd(container));
  const timer = setTimeout(refuse, patience);
  try {
    await Promise.race([processEnded(pidfd), tooLate.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Milliseconds that a process may take to end which cannot but end. */
const patience = 10_000;

function doesNotEnd({ id, state }: RuntimeContainer): ContainerStateError {
  return new ContainerStateError(id, "running", `its first process ${state.pid} does not end`, {
    hint: "it waits for a device or a network file system, or somebody has frozen it in a cgroup of another path",
  });
}

/** Of the few containers that have mounts on the host. */
export async function removeMounts(container: RuntimeContainer): Promise<void> {
  if (!existsSync(container.placeOfMounts)) return;
  const { removeHostMounts } = await import("./host-mounts.ts");
  removeHostMounts(container.placeOfMounts);
}

async function removeCgroup(container: RuntimeContainer): Promise<void> {
  const { cgroupIdentity, systemdUnit } = container.state;
  using own = container.ownCgroup();
  if (own !== undefined) {
    // In a pid namespace that it shares its other processes may live on.
    own.kill();
    await remove(own, systemdUnit);
    return;
  }
  if (cgroupIdentity !== undefined && systemdUnit === undefined) return;
  // Whoever made the container was killed before a process was in it, or systemd has ended the scope with its last
  // process, which leaves hierarchies that it does not use. In use, it is another's.
  using unknown = container.cgroup();
  if (unknown.processes().length > 0) return;
  if (cgroupIdentity === undefined) await remove(unknown, systemdUnit);
  else {
    unknown.remove();
    if (systemdUnit !== undefined) await (await import("./cgroup/scope.ts")).forgetScope(systemdUnit);
  }
}

async function remove(cgroup: Cgroup, systemdUnit: string | undefined): Promise<void> {
  if (systemdUnit === undefined) cgroup.remove();
  else await (await import("./cgroup/scope.ts")).removeScope(systemdUnit, cgroup);
}

/** Undefined for a container that was not made whole. */
function specOf(container: RuntimeContainer): RuntimeSpec | undefined {
  try {
    return container.readSpec();
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

import type { Resources } from "../oci/runtime-spec.ts";
import type { Cgroup } from "../runtime/cgroup/cgroup.ts";

/**
 * Holds a container to what its specification lets it use. Before anything is in its cgroup, so that nothing of it is
 * ever without them.
 * @param warn told of what is asked for and has no effect
 * @throws CgroupError a limit cannot be had on this host; the message has the flag of `run` that gives it
 */
export async function applyLimits(
  cgroup: Cgroup,
  resources: Resources | undefined,
  warn: (message: string) => void = () => {},
): Promise<void> {
  if (resources === undefined) return;
  if (resources.devices !== undefined) cgroup.restrictDevices(resources.devices);
  try {
    for (const message of await cgroup.applyResources(resources)) warn(message);
  } catch (error) {
    throw (await import("./limit-errors.ts")).inFlags(error);
  }
}

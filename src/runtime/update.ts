import type { Resources } from "../oci/runtime-spec.ts";
import type { Cgroup } from "./cgroup/cgroup.ts";
import { ContainerStateError, type RuntimeContainer } from "./runtime-container.ts";

/**
 * Changes those limits of a container that are given. The caller holds its lock.
 * @param warn told of what is asked for and has no effect
 * @throws ContainerStateError it has ended; InvalidDocumentError, CgroupError: nothing is changed then
 */
export async function updateContainer(
  container: RuntimeContainer,
  resources: Resources,
  warn: (message: string) => void,
): Promise<void> {
  const status = container.status();
  if (status === "stopped") throw new ContainerStateError(container.id, status, "it has no limits to be changed");
  using cgroup = container.cgroup();
  const { systemdUnit } = container.state;
  const notes =
    systemdUnit === undefined
      ? await cgroup.updateResources(resources)
      : await updateUnit(systemdUnit, cgroup, resources);
  for (const message of notes) warn(message);
}

async function updateUnit(unit: string, cgroup: Cgroup, resources: Resources): Promise<string[]> {
  const { connectSystemd, updateScope } = await import("./cgroup/scope.ts");
  using systemd = await connectSystemd();
  return await updateScope(systemd, { unit, cgroup }, resources);
}

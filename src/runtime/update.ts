import type { Resources } from "../oci/runtime-spec.ts";
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
  for (const message of await cgroup.updateResources(resources)) warn(message);
}

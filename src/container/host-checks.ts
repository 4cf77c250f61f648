import { lsmSupport } from "../linux/lsm.ts";
import { UsageError } from "../util/errors.ts";
import type { HostFacts } from "./host-facts.ts";
import type { ContainerOptions } from "./options.ts";

/**
 * Refuses what this host cannot grant: a container must not run as if it had a protection, or a right, that it lacks.
 * @throws UsageError
 */
export function checkAgainstHost(options: ContainerOptions, host: Pick<HostFacts, "cgroupV2Only">): void {
  const { apparmorProfile, writableCgroups, cgroupns } = options;
  if (apparmorProfile !== undefined && !lsmSupport().apparmor) {
    throw new UsageError(
      `the AppArmor profile ${apparmorProfile} cannot be set: AppArmor is not in force on this host`,
    );
  }
  if (writableCgroups === true && (!host.cgroupV2Only || cgroupns === "host")) {
    throw new UsageError("writable-cgroups needs a cgroup namespace of the container's own, and cgroups of version 2");
  }
}

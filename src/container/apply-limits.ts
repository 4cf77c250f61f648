import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import type { Cgroup } from "../runtime/cgroup/cgroup.ts";
import { readStoredSpec, storedVersion } from "./stored-spec.ts";

/** A container whose specification was read, or written, to start it. */
export interface LimitedContainer {
  readonly id: string;
  /** The container's. */
  readonly directory: string;
  readonly spec: RuntimeSpec;
  /** Of the file that {@link spec} is in: see `storedVersion`. */
  readonly specVersion: string;
}

/**
 * Holds a container to what its specification lets it use. Before anything is in its cgroup, so that nothing of it is
 * ever without them. Who changes limits meanwhile writes them down, and then looks for the cgroup: what he has written
 * before that was there is read again here, what he writes later he applies himself.
 * @param warn told of what is asked for and has no effect
 * @throws CgroupError a limit cannot be had on this host; the message has the flag of `run` that gives it
 */
export async function applyLimits(
  cgroup: Cgroup,
  { id, directory, spec, specVersion }: LimitedContainer,
  warn: (message: string) => void = () => {},
): Promise<void> {
  const resources = spec.linux?.resources;
  if (resources?.devices !== undefined) cgroup.restrictDevices(resources.devices);
  try {
    if (resources !== undefined) for (const message of await cgroup.applyResources(resources)) warn(message);
    let applied = specVersion;
    for (let stored = storedVersion(directory); stored !== applied; stored = storedVersion(directory)) {
      applied = stored;
      const { devices: _devices, ...limits } = readStoredSpec(id, directory).linux?.resources ?? {};
      await cgroup.updateResources(limits);
    }
  } catch (error) {
    throw (await import("./limit-errors.ts")).inFlags(error);
  }
}

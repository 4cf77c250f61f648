import { type CgroupHost, detectCgroups } from "../runtime/cgroup/detect.ts";
import { openCgroup } from "../runtime/cgroup/open.ts";
import { usualCgroupPath } from "./cgroup-path.ts";
import { cgroupPathOf } from "./stored-spec.ts";

/**
 * Whether the processes of a container that runs stand still. Nobody remembers it: its cgroup is asked.
 * @param directory the container's
 * @throws CgroupError the host has no cgroups
 */
export function isPaused(id: string, directory: string, host: CgroupHost = detectCgroups()): boolean {
  // Where nearly all are: looking there first saves reading the specification.
  using usual = openCgroup(usualCgroupPath(id), host);
  if (usual.exists()) return usual.isFrozen();
  using cgroup = openCgroup(cgroupPathOf(id, directory), host);
  return cgroup.isFrozen();
}

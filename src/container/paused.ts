import { parseRuntimeSpec } from "../oci/runtime-spec-parse.ts";
import { type CgroupHost, detectCgroups } from "../runtime/cgroup/detect.ts";
import { openCgroup } from "../runtime/cgroup/open.ts";
import { readIfThere } from "../util/read-if-there.ts";

/**
 * Whether the processes of a container that runs stand still. Nobody remembers it: its cgroup is asked.
 * @param directory the container's
 * @throws CgroupError the host has no cgroups; InvalidDocumentError its specification is broken
 */
export function isPaused(id: string, directory: string, host: CgroupHost = detectCgroups()): boolean {
  // Where nearly all are: looking there first saves reading the specification.
  using usual = openCgroup(`/gocker/${id}`, host);
  if (usual.exists()) return usual.isFrozen();
  const specification = readIfThere(`${directory}/config.json`);
  const path =
    specification === undefined ? undefined : parseRuntimeSpec(Buffer.from(specification)).linux?.cgroupsPath;
  if (path === undefined) return false;
  using cgroup = openCgroup(path, host);
  return cgroup.isFrozen();
}

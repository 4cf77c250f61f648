import type { RuntimeSpec } from "../oci/runtime-spec.ts";

/** Where the cgroup of a container with this specification is. */
export function cgroupPathIn(id: string, { linux }: RuntimeSpec): string {
  return linux?.cgroupsPath ?? usualCgroupPath(id);
}

/** Where it is without `--cgroup-parent`. */
export function usualCgroupPath(id: string): string {
  return `/gocker/${id}`;
}

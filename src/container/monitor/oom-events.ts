import type { OwnedFd } from "../../linux/fd.ts";
import type { RuntimeSpec } from "../../oci/runtime-spec.ts";
import type { Cgroup } from "../../runtime/cgroup/cgroup.ts";

/**
 * Where a container's monitor learns that processes of the container are killed for lack of memory: only where its memory
 * is limited, as that costs every other start for nothing. What the lack of the whole machine's has done shows in the end.
 * @throws CgroupError
 */
export async function openOomEventsOf(cgroup: Cgroup, { linux }: RuntimeSpec): Promise<OwnedFd | undefined> {
  const limit = linux?.resources?.memory?.["limit"];
  if (typeof limit !== "number" || limit <= 0) return undefined;
  const { openOomEvents } = await import("../../runtime/cgroup/oom.ts");
  return openOomEvents(cgroup);
}

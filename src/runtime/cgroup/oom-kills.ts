import type { Cgroup } from "./cgroup.ts";
import { isGone } from "./errors.ts";
import { readControl } from "./files.ts";

/**
 * How many processes of a cgroup were killed for lack of memory, by its own limit or the whole machine's; in version 2
 * also of those below it. 0 where nobody counts them: without a memory controller, and in version 1 before Linux 4.13.
 */
export function oomKills(cgroup: Cgroup): number {
  const place = cgroup.place("memory");
  if (place === undefined) return 0;
  try {
    return oomKillsIn(place.mountPoint + cgroup.path, place.version);
  } catch (error) {
    // Not enabled in version 2, or the cgroup has been removed.
    if (isGone(error)) return 0;
    throw error;
  }
}

/** As {@link oomKills}, in the directory of the memory controller. @throws SystemCallError it is not there */
export function oomKillsIn(directory: string, version: 1 | 2): number {
  const file = version === 1 ? "memory.oom_control" : "memory.events";
  return Number(/^oom_kill (\d+)/m.exec(readControl(`${directory}/${file}`))?.[1] ?? 0);
}

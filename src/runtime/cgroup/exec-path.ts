import { readFileSync } from "node:fs";
import type { Cgroup } from "./cgroup.ts";
import { parseProcCgroup } from "./detect.ts";
import { readControl } from "./files.ts";

/**
 * The path of the cgroup that another process of the container joins, for `openCgroup`. It is the container's own, but
 * where the container has handed controllers down to cgroups that it made itself, as systemd in it does: version 2
 * lets no process into such a one (cgroup-v2.rst, "No Internal Process Constraint"), so that it is the one that the
 * container's first process is in.
 * @param pid the container's first process, as this process sees it
 */
export function execCgroupPath(cgroup: Cgroup, pid: number): string {
  const unified = cgroup.place("cgroup");
  // On hybrid hosts the container's processes are in its own cgroup of version 1 in any case.
  if (unified === undefined || cgroup.view()?.type === "v1") return cgroup.path;
  if (readControl(`${unified.mountPoint}${cgroup.path}/cgroup.subtree_control`) === "") return cgroup.path;
  const memberships = parseProcCgroup(readFileSync(`/proc/${pid}/cgroup`, "utf8"));
  const path = memberships.find(({ hierarchyId }) => hierarchyId === 0)?.path ?? cgroup.path;
  return path.startsWith(`${cgroup.path}/`) ? path : cgroup.path;
}

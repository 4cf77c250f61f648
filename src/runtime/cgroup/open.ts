import type { Cgroup } from "./cgroup.ts";
import { type CgroupHost, detectCgroups } from "./detect.ts";
import { notMounted } from "./errors.ts";
import { HybridCgroup } from "./hybrid.ts";
import { normaliseCgroupPath } from "./path.ts";
import { CgroupV1 } from "./v1.ts";
import { CgroupV2 } from "./v2.ts";

/**
 * The cgroup at a path, by this host's version of cgroups. It need not exist: {@link Cgroup.create} makes it, and
 * {@link Cgroup.kill} and {@link Cgroup.remove} end and undo what a gocker that was killed has left.
 * @param path the `cgroupsPath` of the runtime specification
 * @throws CgroupError the host has no cgroups
 * @throws UsageError the path is none
 */
export function openCgroup(path: string, host: CgroupHost = detectCgroups()): Cgroup {
  const place = normaliseCgroupPath(path);
  if (host.v2 === undefined) {
    if (host.v1.length === 0) throw notMounted();
    return new CgroupV1(host.v1, place);
  }
  return host.v1.length === 0 ? new CgroupV2(host.v2, place) : new HybridCgroup(host.v1, host.v2, place);
}

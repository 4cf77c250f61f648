import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import { exists, readControl, writeControl } from "../files.ts";

/**
 * Gives gocker's own cgroup, in which containers are that name none, as much realtime as one of them is to have besides
 * the others: a new cgroup has none to hand down, and nobody else would give it any. Those above and elsewhere are not
 * gocker's to change. scheduler/sched-rt-group.rst
 * @param directory the container's, in the hierarchy of the cpu controller
 * @param runtime what it is to have, in microseconds of its period
 * @returns false when that is not what it lacks
 */
export function shareRealtime(directory: string, runtime: number): boolean {
  const parent = ownParent(directory);
  if (parent === undefined || runtime <= 0 || !isOfRoot(parent)) return false;
  const children = readdirSync(parent, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const others = children.map(({ name }) => `${parent}/${name}`).filter((path) => path !== directory);
  const used = others.reduce((sum, path) => sum + numberIn(path, runtimeFile) / numberIn(path, periodFile), 0);
  const share = used + runtime / numberIn(directory, periodFile);
  const needed = Math.ceil(share * numberIn(parent, periodFile));
  if (needed <= numberIn(parent, runtimeFile)) return false;
  writeControl(`${parent}/${runtimeFile}`, String(needed));
  return true;
}

/**
 * Takes back what {@link shareRealtime} has given, from a cgroup that nothing runs in any more: others of the host may
 * want it. What cannot be taken back stays for the next container.
 */
export function takeRealtimeBack(directory: string): void {
  const parent = ownParent(directory);
  if (parent === undefined) return;
  try {
    const given = numberIn(parent, runtimeFile);
    if (given <= 0) return;
    const share = numberIn(directory, runtimeFile) / numberIn(directory, periodFile);
    if (share <= 0) return;
    writeControl(`${directory}/${runtimeFile}`, "0");
    const rest = Math.max(0, given - Math.ceil(share * numberIn(parent, periodFile)));
    writeControl(`${parent}/${runtimeFile}`, String(rest));
  } catch {
    // Kernels without such limits, and cgroups that are gone.
  }
}

const runtimeFile = "cpu.rt_runtime_us";
const periodFile = "cpu.rt_period_us";

function ownParent(directory: string): string | undefined {
  const parent = dirname(directory);
  return parent.endsWith("/gocker") ? parent : undefined;
}

/** Only the root of a hierarchy has that file. cgroups(7) */
function isOfRoot(parent: string): boolean {
  return exists(`${dirname(parent)}/release_agent`);
}

function numberIn(directory: string, file: string): number {
  return Number(readControl(`${directory}/${file}`));
}

import { readdirSync } from "node:fs";
import { errnos, systemCallError } from "../../linux/errno.ts";
import { errno, libc } from "../../linux/libc.ts";
import { CgroupError, hintFor } from "./errors.ts";
import { ControlFile } from "./files.ts";

const currentDirectory = -100;
/** AT_REMOVEDIR, linux/fcntl.h */
const removeDirectory = 0x200;

/**
 * Makes a cgroup with the parents that are missing.
 * @param made gets each directory that was made, parents first
 * @returns false when the cgroup is there already
 * @throws CgroupError this process may not make cgroups
 */
export function makeCgroup(mountPoint: string, path: string, made: string[]): boolean {
  const directory = mountPoint + path;
  if (libc.mkdirat(currentDirectory, directory, 0o755) === 0) {
    made.push(directory);
    return true;
  }
  const number = errno();
  if (number === errnos.EEXIST) return false;
  const parent = path.slice(0, path.lastIndexOf("/"));
  if (number === errnos.ENOENT && parent !== "") {
    makeCgroup(mountPoint, parent, made);
    return makeCgroup(mountPoint, path, made);
  }
  const hint = hintFor(number);
  const cause = systemCallError("mkdirat", { path: directory, hint }, number);
  if (number !== errnos.EROFS && number !== errnos.EACCES && number !== errnos.EPERM) throw cause;
  throw new CgroupError("CGROUPS_NOT_WRITABLE", `cgroups cannot be made here: ${cause.message}`, { hint, cause });
}

/** Takes back what a failed creation made, the last first. A parent that others use by now stays. */
export function removeMade(made: readonly string[]): void {
  for (const directory of made.toReversed()) {
    if (libc.unlinkat(currentDirectory, directory, removeDirectory) === 0) continue;
    const number = errno();
    if (number !== errnos.EBUSY && number !== errnos.ENOENT) {
      throw systemCallError("rmdir", { path: directory }, number);
    }
  }
}

/**
 * A cgroup that a dead container left may be taken over, one with processes in it not.
 * @throws CgroupError
 */
export function refuseOccupied(directory: string): void {
  const pids = processesBelow(directory);
  if (pids.length === 0) return;
  throw new CgroupError("CGROUP_IN_USE", `the cgroup ${directory} has processes already: ${listPids(pids)}`, {
    hint: "another container runs in it: take another cgroup path, or remove that container",
  });
}

/** The names of the cgroups directly below one; none when it does not exist. */
export function childNames(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

/** The processes of a cgroup and of all below it; none when it does not exist. */
export function processesBelow(directory: string): number[] {
  const found = new Set<number>();
  const pending = [directory];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const pid of processesOf(next)) found.add(pid);
    for (const name of childNames(next)) pending.push(`${next}/${name}`);
  }
  return [...found];
}

/**
 * The processes of this very cgroup. A threaded one (version 2) refuses to tell with EOPNOTSUPP: its processes stand
 * in the list of its domain, above it.
 */
function processesOf(directory: string): number[] {
  try {
    using file = ControlFile.forReading(`${directory}/cgroup.procs`);
    const text = file.read();
    // 0 stands for a process outside of this process's own pid namespace: it cannot be addressed.
    return text === ""
      ? []
      : text
          .trimEnd()
          .split("\n")
          .map(Number)
          .filter((pid) => pid !== 0);
  } catch (error) {
    if (isGone(error) || codeOf(error) === "EOPNOTSUPP") return [];
    throw error;
  }
}

/**
 * Removes a cgroup, those below it first, waiting for processes in it that are just ending.
 * @param deadline when to give up, on the clock of `performance.now()`
 * @param wait blocks until something may have changed; its argument is the milliseconds that are left
 * @throws CgroupError it is still in use at the deadline
 */
export function removeTree(directory: string, deadline: number, wait: (milliseconds: number) => void): void {
  for (;;) {
    if (libc.unlinkat(currentDirectory, directory, removeDirectory) === 0) return;
    const number = errno();
    if (number === errnos.ENOENT || number === errnos.ENODEV) return;
    if (number !== errnos.EBUSY) throw systemCallError("rmdir", { path: directory }, number);
    const left = deadline - performance.now();
    if (left <= 0) throw stillInUse(directory);
    const children = childNames(directory);
    for (const name of children) removeTree(`${directory}/${name}`, deadline, wait);
    if (children.length === 0) wait(left);
  }
}

function stillInUse(directory: string): CgroupError {
  const pids = processesBelow(directory);
  const who = pids.length === 0 ? "" : ` by the processes ${listPids(pids)}`;
  return new CgroupError("CGROUP_IN_USE", `the cgroup ${directory} is still in use${who}`, {
    hint: "a process that waits for a device or a network file system does not end before that answers: remove the container again then",
  });
}

function listPids(pids: readonly number[]): string {
  const most = 8;
  return pids.slice(0, most).join(", ") + (pids.length > most ? ", …" : "");
}

/** Whether an error means that the cgroup is not, or no longer, there. */
export function isGone(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOENT" || code === "ENODEV";
}

function codeOf(error: unknown): string | undefined {
  return (error as { code?: string } | undefined)?.code;
}

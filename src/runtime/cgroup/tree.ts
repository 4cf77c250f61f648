import { statSync } from "node:fs";
import { AT_REMOVEDIR, type ByteString, openDirectory, tryOpenAt, unlinkAt } from "../../linux/at.ts";
import { bootId } from "../../linux/boot-id.ts";
import { AT_FDCWD, O_RDONLY } from "../../linux/constants.ts";
import { errnos, systemCallError } from "../../linux/errno.ts";
import type { OwnedFd } from "../../linux/fd.ts";
import { errno, libc } from "../../linux/libc.ts";
import { CgroupError, codeOf, hintFor, isGone } from "./errors.ts";
import { readControl, readText } from "./files.ts";
import { walkBelow } from "./walk.ts";

/** {@link makeCgroup} or {@link makeFreshCgroup}. */
export type MakeCgroup = (mountPoint: string, path: string, made: string[]) => unknown;

/**
 * Makes a cgroup with the parents that are missing.
 * @param made gets each directory that was made, parents first
 * @returns false when the cgroup is there already
 * @throws CgroupError this process may not make cgroups
 */
export function makeCgroup(mountPoint: string, path: string, made: string[]): boolean {
  const directory = mountPoint + path;
  if (libc.mkdirat(AT_FDCWD, directory, 0o755) === 0) {
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

/**
 * Makes a cgroup in several steps and hierarchies: whole, or not at all.
 * @param make notes each directory that it has made, parents first
 */
export function makeWhole(make: (made: string[]) => void): void {
  const made: string[] = [];
  try {
    make(made);
  } catch (error) {
    removeMade(made);
    throw error;
  }
}

/** Takes back what a failed creation made, the last first. A parent that others use by now stays. */
function removeMade(made: readonly string[]): void {
  for (const directory of made.toReversed()) {
    if (libc.unlinkat(AT_FDCWD, directory, AT_REMOVEDIR) === 0) continue;
    const number = errno();
    if (number !== errnos.EBUSY && number !== errnos.ENOENT) {
      throw systemCallError("rmdir", { path: directory }, number);
    }
  }
}

/**
 * Makes a cgroup that nothing was ever in. One of the same path that a dead container left is removed first: its
 * limits and device rules would still hold, and kernels such as 6.18 kill whatever is cloned into a cgroup that has
 * been killed before.
 * @throws CgroupError processes are in the one that is there, it is frozen, or none may be made
 */
export function makeFreshCgroup(mountPoint: string, path: string, made: string[]): void {
  if (makeCgroup(mountPoint, path, made)) return;
  const directory = mountPoint + path;
  using left = openIfThere(directory);
  if (left !== undefined) claimDirectory(left.number, directory);
  const pids = processesBelow(directory);
  if (pids.length > 0) {
    throw new CgroupError(
      "CGROUP_IN_USE",
      `the container's cgroup is not empty: ${directory} has processes already: ${listPids(pids)}`,
      { hint: "another container runs in it: take another cgroup path, or remove that container" },
    );
  }
  if (isFrozenDirectory(directory)) {
    throw new CgroupError("CGROUP_IN_USE", `the container's cgroup unexpectedly frozen: ${directory}`, {
      hint: "whoever froze it before there was a process in it may still mean to use it: remove it, or thaw it",
    });
  }
  removeTree(directory, { deadline: performance.now(), wait: () => {} });
  makeCgroup(mountPoint, path, made);
}

function openIfThere(directory: string): OwnedFd | undefined {
  try {
    return openDirectory(directory);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/**
 * Takes an empty cgroup for the one that is about to fill it, until the descriptor is closed: else another one would
 * take it for what somebody has left. flock(2)
 * @throws CgroupError somebody else has taken it
 */
export function claimDirectory(fd: number, directory: string): void {
  const exclusiveWithoutWaiting = 2 | 4;
  if (libc.flock(fd, exclusiveWithoutWaiting) === 0) return;
  const number = errno();
  if (number !== errnos.EAGAIN) throw systemCallError("flock", { path: directory }, number);
  throw new CgroupError("CGROUP_IN_USE", `the cgroup ${directory} is another container's, which is being made in it`, {
    hint: "take another cgroup path",
  });
}

/** See `Cgroup.identity`. Inode numbers are not used again, but begin anew when the machine does. */
export function identityOf(directory: string): string | undefined {
  const found = statSync(directory, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? undefined : `${bootId()}:${found.ino}`;
}

/** Whether a cgroup of either version stands still. */
function isFrozenDirectory(directory: string): boolean {
  for (const [file, frozen] of [
    ["cgroup.freeze", "1"],
    ["freezer.state", "FROZEN"],
  ] as const) {
    try {
      if (readControl(`${directory}/${file}`) === frozen) return true;
    } catch (error) {
      // Of the other version, or a hierarchy without it.
      if (!isGone(error)) throw error;
    }
  }
  return false;
}

/** The processes of a cgroup and of all below it; none when it does not exist. */
export function processesBelow(directory: string): number[] {
  const found = new Set<number>();
  try {
    using opened = openDirectory(directory);
    const collect = (fd: number) => {
      for (const pid of processesOf(fd)) found.add(pid);
    };
    collect(opened.number);
    walkBelow(opened, { enter: collect });
  } catch (error) {
    if (!isGone(error)) throw error;
  }
  return [...found];
}

/**
 * The processes of this very cgroup. A threaded one (version 2) refuses to tell with EOPNOTSUPP: its processes stand
 * in the list of its domain, above it.
 */
function processesOf(directory: number): number[] {
  try {
    using file = tryOpenAt(directory, "cgroup.procs", O_RDONLY);
    const text = file === undefined ? "" : readText(file.number, "cgroup.procs").trimEnd();
    // 0 stands for a process outside of this process's own pid namespace: it cannot be addressed.
    return text === ""
      ? []
      : text
          .split("\n")
          .map(Number)
          .filter((pid) => pid !== 0);
  } catch (error) {
    if (isGone(error) || codeOf(error) === "EOPNOTSUPP") return [];
    throw error;
  }
}

/** How to wait for a cgroup that cannot be removed yet. */
export interface RemovalWait {
  /** When to give up, on the clock of `performance.now()`. */
  readonly deadline: number;
  /** Blocks until something may have changed, or for so many milliseconds. */
  readonly wait: (milliseconds: number) => void;
}

/**
 * Removes a cgroup, those below it first, waiting for processes in it that are just ending. One that does not exist is
 * no error.
 * @throws CgroupError it is still in use at the deadline
 */
export function removeTree(directory: string, { deadline, wait }: RemovalWait): void {
  for (let left = Number.POSITIVE_INFINITY; ;) {
    if (libc.unlinkat(AT_FDCWD, directory, AT_REMOVEDIR) === 0) return;
    const number = errno();
    if (number === errnos.ENOENT || number === errnos.ENODEV) return;
    if (number !== errnos.EBUSY) throw systemCallError("rmdir", { path: directory, hint: hintFor(number) }, number);
    if (left <= 0) throw stillInUse(directory);
    const removed = removeChildren(directory);
    left = deadline - performance.now();
    if (!removed && left > 0) wait(left);
  }
}

/** Removes what can be removed below a cgroup. @returns whether that was anything */
function removeChildren(directory: string): boolean {
  try {
    using opened = openDirectory(directory);
    return removeBelow(opened);
  } catch (error) {
    if (!isGone(error)) throw error;
    return true;
  }
}

function removeBelow(directory: OwnedFd): boolean {
  let removed = false;
  const isRemoved = (parent: number, name: ByteString) => {
    const number = unlinkAt(parent, name, AT_REMOVEDIR);
    if (number === errnos.EBUSY) return false;
    if (number !== 0) throw systemCallError("rmdir", { hint: hintFor(number) }, number);
    removed = true;
    return true;
  };
  walkBelow(directory, { skip: isRemoved, leave: isRemoved });
  return removed;
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

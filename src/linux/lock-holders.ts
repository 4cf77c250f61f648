import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { SIGKILL } from "./constants.ts";
import { OwnedFd } from "./fd.ts";
import { openPidfd, sendSignal } from "./process.ts";

/**
 * Kills the processes that hold the lock of a file: all who have the open file that flock(2) has locked, wherever they have
 * it from. Of each the kernel itself says that, and no other process can have taken its number: proc_pid_fdinfo(5).
 * @returns how many there were
 * @throws SystemCallError
 */
export function killHolders(path: string): number {
  let count = 0;
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name) || !holds(name, path)) continue;
    const number = openPidfd(Number(name));
    if (number === undefined) continue;
    using process = new OwnedFd(number);
    // Looked at once more: what is held now cannot come to mean another process.
    if (holds(name, path) && sendSignal(process, SIGKILL)) count++;
  }
  return count;
}

/** Whether a process has a file open that is locked by that. */
function holds(pid: string, path: string): boolean {
  const directory = `/proc/${pid}`;
  return namesIn(`${directory}/fd`).some((fd) => {
    try {
      // First by its name: to look at some files takes long.
      if (readlinkSync(`${directory}/fd/${fd}`) !== path || !isSameFile(`${directory}/fd/${fd}`, path)) return false;
      return /^lock:.*\bFLOCK\b.*\bWRITE\b/m.test(readFileSync(`${directory}/fdinfo/${fd}`, "latin1"));
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  });
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

function isSameFile(one: string, other: string): boolean {
  const [a, b] = [statSync(one), statSync(other)];
  return a.ino === b.ino && a.dev === b.dev;
}

/** It has ended or closed its file; or it is nobody that gocker may look at, and so no gocker of this user's. */
function isGone(error: unknown): boolean {
  return ["ENOENT", "ESRCH", "EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "");
}

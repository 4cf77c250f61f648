import { SIGKILL } from "../../linux/constants.ts";
import { OwnedFd } from "../../linux/fd.ts";
import { openPidfd, sendSignal } from "../../linux/process.ts";

/** How long to chase processes that are made faster than they are killed; in milliseconds. */
const longestChase = 2000;

/**
 * Sends SIGKILL to every process that `list` names, again and again until it names none that has not had one: for
 * kernels without cgroup.kill. No process outside is ever hit: a descriptor is opened for each number that was
 * listed, and used only when the number is listed again, because then it still belongs to the same process or to
 * none.
 * @param list the numbers of the processes in the cgroup at this moment
 */
export function killListed(list: () => number[]): void {
  const deadline = performance.now() + longestChase;
  const killed = new Set<number>();
  do {
    const fresh = list().filter((pid) => !killed.has(pid));
    if (fresh.length === 0) return;
    for (const pid of signalOnce(fresh, list, SIGKILL)) killed.add(pid);
  } while (performance.now() < deadline);
}

/** Sends a signal to every process that `list` names, once; with the care of {@link killListed}. */
export function signalListed(list: () => number[], signal: number): void {
  signalOnce(list(), list, signal);
}

/** @returns the processes of `pids` that are still listed, which have got the signal */
function signalOnce(pids: readonly number[], list: () => number[], signal: number): number[] {
  const opened = new Map<number, OwnedFd>();
  const reached: number[] = [];
  try {
    for (const pid of pids) {
      const fd = openPidfd(pid);
      if (fd !== undefined) opened.set(pid, new OwnedFd(fd));
    }
    for (const pid of list()) {
      const fd = opened.get(pid);
      if (fd === undefined) continue;
      sendSignal(fd, signal);
      reached.push(pid);
    }
    return reached;
  } finally {
    for (const fd of opened.values()) fd.close();
  }
}

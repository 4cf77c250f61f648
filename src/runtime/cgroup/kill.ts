import { libc } from "../../linux/libc.ts";
import { killProcess, openProcess } from "./wait.ts";

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
    const opened = new Map<number, number>();
    try {
      for (const pid of fresh) {
        const fd = openProcess(pid);
        if (fd !== undefined) opened.set(pid, fd);
      }
      for (const pid of list()) {
        const fd = opened.get(pid);
        if (fd === undefined) continue;
        killProcess(fd);
        killed.add(pid);
      }
    } finally {
      for (const fd of opened.values()) libc.close(fd);
    }
  } while (performance.now() < deadline);
}

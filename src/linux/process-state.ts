import { readFileSync } from "node:fs";

/** What the kernel says of a process that exists. proc_pid_stat(5) */
export interface ProcessState {
  /** `R`, `S`, `D`, `T`, `Z` and so on. */
  readonly letter: string;
  /** The number of its parent; 0 where that is outside of this pid namespace. */
  readonly parent: number;
  /** In clock ticks since boot: with the number it names a process for good. */
  readonly startTime: number;
}

/** The state of a process; undefined when there is none of that number. */
export function processState(pid: number): ProcessState | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
  // The second field is the command's name in parentheses and may hold anything, so count from its end.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { letter: fields[3 - 3] as string, parent: Number(fields[4 - 3]), startTime: Number(fields[22 - 3]) };
}

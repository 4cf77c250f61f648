import { readFileSync } from "node:fs";

/**
 * When a process started, in clock ticks since boot. With its number it names a process for good: numbers alone are
 * used again. proc_pid_stat(5), field 22
 * @returns undefined when there is no such process
 */
export function processStartTime(pid: number): number | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
  // The second field is the command's name in parentheses and may hold anything, so count from its end.
  const afterName = stat.slice(stat.lastIndexOf(")") + 2);
  return Number(afterName.split(" ")[22 - 3]);
}

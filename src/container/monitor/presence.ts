import { readFileSync } from "node:fs";
import { processState } from "../../linux/process-state.ts";
import type { ContainerState } from "../record.ts";
import { monitorName } from "./state.ts";

/**
 * Whether a container that runs has a monitor, be it that it can be reached or not: a container's first process is the
 * child of whoever looks after it, and that is a monitor or the command that runs it. True, too, for one that has just
 * ended, and whose parent cannot be looked up any more.
 */
export function hasMonitor({ pid }: Pick<ContainerState, "pid">): boolean {
  const parent = pid === undefined ? undefined : processState(pid)?.parent;
  return parent === undefined || calledAs(parent) === monitorName;
}

/** The first word of a process's call; empty when it has ended. proc_pid_cmdline(5) */
function calledAs(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0")[0] as string;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return "";
    throw error;
  }
}

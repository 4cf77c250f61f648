import { ptr } from "bun:ffi";
import { SIGCHLD } from "./constants.ts";
import { systemCallError } from "./errno.ts";
import { libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

const signalCount = 64;
const signalSetSize = 8;
const SIG_IGN = 1;

/** `struct sigaction` as the kernel has it: 32 bytes on x86-64, 24 on arm64; the handler comes first. */
const actionSize = 32;

/**
 * The signals that this process ignores, by their numbers: those that Bun does without, and those that whoever started
 * gocker ignored (nohup, shells without job control, many supervisors). A new process has them ignored too, and so has
 * every program that it executes. signal(7)
 */
export function ignoredSignals(): number[] {
  const ignored: number[] = [];
  for (let signal = 1; signal <= signalCount; signal++) if (isIgnored(signal)) ignored.push(signal);
  return ignored;
}

const action = new Uint32Array(actionSize / 4);
const address = ptr(action);
const rtSigaction = syscallNumber("rt_sigaction");

function isIgnored(signal: number): boolean {
  const result = libc.syscall(rtSigaction, signal, 0, address, signalSetSize, 0, 0);
  return result === 0 && action[0] === SIG_IGN && action[1] === 0;
}

/**
 * Makes sure that children can be waited for: the kernel keeps no status for a process that ignores SIGCHLD, and gocker
 * may have been started that way. wait(2) @throws SystemCallError
 */
export function acceptDeadChildren(): void {
  if (!isIgnored(SIGCHLD)) return;
  action.fill(0);
  if (libc.syscall(rtSigaction, SIGCHLD, address, 0, signalSetSize, 0, 0) !== 0) {
    throw systemCallError("rt_sigaction");
  }
}

import { libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

/** `PRIO_PROCESS`, which with 0 means the calling thread alone. setpriority(2) */
const thisThread = [0, 0] as const;

/** What the system call gives is this minus the nice value, so that it is never negative. getpriority(2) */
const offset = 20;

/**
 * Lets this thread come before others of the machine, if it may, until the returned value is disposed of.
 * @param nice -20 to 19, the less the sooner; a thread that is further on already stays there
 */
export function raisePriority(nice: number): Disposable {
  const before = offset - Number(libc.syscall(syscallNumber("getpriority"), ...thisThread, 0, 0, 0, 0));
  const isRaised = before > nice && setNice(nice);
  return {
    [Symbol.dispose]() {
      if (isRaised) setNice(before);
    },
  };
}

/** @returns false without the right to it */
function setNice(nice: number): boolean {
  return Number(libc.syscall(syscallNumber("setpriority"), ...thisThread, nice, 0, 0, 0)) === 0;
}

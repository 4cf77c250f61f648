import { readdirSync, readlinkSync } from "node:fs";
import { errnos, systemCallError } from "./errno.ts";
import { OwnedFd } from "./fd.ts";
import { errno, libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

/**
 * Looks among the open files of another process.
 * @param pid of a process that nobody has waited for: the number is its own
 * @param link what /proc shows it as, such as `anon_inode:seccomp notify`
 * @param least the smallest number that counts
 * @returns the number of the first one; undefined when there is none
 */
export function findForeignDescriptor(pid: number, link: string, least: number): number | undefined {
  const directory = `/proc/${pid}/fd`;
  const numbers = readdirSync(directory)
    .map(Number)
    .filter((number) => number >= least);
  return numbers.toSorted((a, b) => a - b).find((number) => readlinkSync(`${directory}/${number}`) === link);
}

/**
 * A descriptor of gocker's own for what another process has open. pidfd_getfd(2), Linux 5.6
 * @param pidfd of the process
 * @param number the descriptor's in there
 * @param step what it is for, in words
 * @throws SystemCallError
 */
export function takeForeignDescriptor(pidfd: OwnedFd, number: number, step: string): OwnedFd {
  const taken = Number(libc.syscall(syscallNumber("pidfd_getfd"), pidfd.number, number, 0, 0, 0, 0));
  if (taken >= 0) return new OwnedFd(taken);
  const reason = errno();
  throw systemCallError(
    "pidfd_getfd",
    { step, ...(reason === errnos.EPERM && { hint: "it takes CAP_SYS_PTRACE" }) },
    reason,
  );
}

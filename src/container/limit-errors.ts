import { CgroupError } from "../runtime/cgroup/errors.ts";
import { InvalidDocumentError } from "../util/errors.ts";

/** The flag of `run` that gives a limit, by its place below `linux.resources`. */
const flags: Readonly<Record<string, string>> = {
  "memory.limit": "--memory",
  "memory.swap": "--memory-swap",
  "memory.reservation": "--memory-reservation",
  "memory.swappiness": "--memory-swappiness",
  "memory.disableOOMKiller": "--oom-kill-disable",
  "cpu.quota": "--cpus (or --cpu-quota)",
  "cpu.period": "--cpu-period",
  "cpu.shares": "--cpu-shares",
  "cpu.realtimePeriod": "--cpu-rt-period",
  "cpu.realtimeRuntime": "--cpu-rt-runtime",
  "cpu.cpus": "--cpuset-cpus",
  "cpu.mems": "--cpuset-mems",
  "pids.limit": "--pids-limit",
  "blockIO.weight": "--blkio-weight",
  "blockIO.weightDevice": "--blkio-weight-device",
  "blockIO.throttleReadBpsDevice": "--device-read-bps",
  "blockIO.throttleWriteBpsDevice": "--device-write-bps",
  "blockIO.throttleReadIOPSDevice": "--device-read-iops",
  "blockIO.throttleWriteIOPSDevice": "--device-write-iops",
};

/**
 * An error about limits in the user's words: the path of a property of `linux.resources`, which its message has, becomes
 * the flag of `run` and `update`. Other errors are given back as they are.
 */
export function inFlags(error: unknown): unknown {
  if (error instanceof AggregateError) {
    return new AggregateError(error.errors.map(inFlags), error.message, { cause: error });
  }
  if (error instanceof CgroupError) {
    const { code, hint } = error;
    return new CgroupError(code, worded(error.message), { hint: hint && worded(hint), cause: error });
  }
  if (error instanceof InvalidDocumentError) {
    const { hint } = error;
    return new InvalidDocumentError(worded(error.message), { hint: hint && worded(hint), cause: error });
  }
  return error;
}

function worded(text: string): string {
  return text.replace(/linux\.resources\.(\w+\.\w+)(?:\[\d+\])?(?:\.\w+)?/g, (path, place: string) => {
    return Object.hasOwn(flags, place) ? (flags[place] as string) : path;
  });
}

import { readFileSync, statSync } from "node:fs";
import { S_IFBLK, S_IFMT } from "../linux/constants.ts";
import { splitDevice } from "../linux/device-number.ts";
import { detectCgroups } from "../runtime/cgroup/detect.ts";
import { exists } from "../runtime/cgroup/files.ts";
import { UsageError } from "../util/errors.ts";
import { readIfThere } from "../util/read-if-there.ts";

/** What limits have to be compared with, or taken from. Nothing is looked up before it is asked for. */
export interface ResourceHost {
  /**
   * The number of a block device.
   * @param flag for the message
   * @throws UsageError there is none at the path
   */
  blockDevice(path: string, flag: string): { readonly major: number; readonly minor: number };
  /** The numbers of the processors, and of the memory nodes, that can be used. */
  processors(): ReadonlySet<number>;
  memoryNodes(): ReadonlySet<number>;
  /** Whether the kernel can limit memory and swap together. */
  countsSwap(): boolean;
}

/** This machine. */
export const resourceHost: ResourceHost = {
  blockDevice(path, flag) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) throw new UsageError(`${flag}: there is no device ${path}`);
    if ((stat.mode & S_IFMT) !== S_IFBLK) {
      throw new UsageError(`${flag}: ${path} is no block device`, { hint: "lsblk lists those that there are" });
    }
    return splitDevice(BigInt(stat.rdev));
  },
  processors: () => parseNumberList(readFileSync("/sys/devices/system/cpu/online", "latin1")),
  // Kernels without NUMA have one, and no directory for them.
  memoryNodes: () => parseNumberList(readIfThere("/sys/devices/system/node/online") ?? "0"),
  countsSwap() {
    const { v1, v2 } = detectCgroups();
    const memory = v1.find(({ controllers }) => controllers.includes("memory"));
    if (memory !== undefined) return exists(`${memory.mountPoint}/memory.memsw.limit_in_bytes`);
    if (v2 === undefined || !(readIfThere(`${v2}/cgroup.controllers`) ?? "").includes("memory")) return false;
    // The root has no file of that in version 2. admin-guide/kernel-parameters.txt, swapaccount= (no effect since 6.1)
    const isOff = /(?:^| )swapaccount=0(?: |$)/m.test(readIfThere("/proc/cmdline") ?? "");
    return exists("/proc/swaps") && !isOff;
  },
};

/** The numbers of a list in the kernel's form, such as `0-3,7`. */
export function parseNumberList(text: string): Set<number> {
  const numbers = new Set<number>();
  for (const [, first = "", last = first] of text.matchAll(/(\d+)(?:-(\d+))?/g)) {
    for (let number = Number(first); number <= Number(last); number++) numbers.add(number);
  }
  return numbers;
}

import { readFileSync, statSync } from "node:fs";
import type { RecordedContainer } from "../container/recorded-container.ts";
import { sendSignal } from "../linux/process.ts";
import type { BlockIoEntry, CgroupStatistics } from "../runtime/cgroup/statistics/types.ts";

/** What a container uses at a moment, and has used until then. Sizes are in bytes. */
export interface Usage {
  /** When that was: in milliseconds, by a clock that never goes back. */
  readonly time: number;
  /** Of all processors together, in milliseconds. */
  readonly processorTime: number;
  /** As Docker counts it: without the pages of files that nobody has used for long. */
  readonly memory: number;
  /** The container's, or the machine's where it has none. */
  readonly memoryLimit: number;
  readonly received: number;
  readonly sent: number;
  readonly read: number;
  readonly written: number;
  /** Processes and threads. */
  readonly processes: number;
}

/** @returns undefined when the container does not run. @throws SystemCallError, or an error of node:fs */
export async function readUsage(container: RecordedContainer): Promise<Usage | undefined> {
  using process = container.openProcess();
  if (process === undefined) return undefined;
  using cgroup = container.cgroup();
  let traffic: Traffic;
  let statistics: CgroupStatistics;
  try {
    traffic = readTraffic(container.pid);
    statistics = await cgroup.statistics();
  } catch (error) {
    // It has ended in between, and its cgroup with it.
    if (!sendSignal(process, 0)) return undefined;
    throw error;
  }
  if (!sendSignal(process, 0)) return undefined;
  return { ...usageOf(statistics, readMachineMemory()), ...traffic, time: performance.now() };
}

/** @param machine its memory, in bytes */
export function usageOf(statistics: CgroupStatistics, machine: number): Omit<Usage, "time" | keyof Traffic> {
  const { cpu, memory, blkio, pids } = statistics;
  const used = Number(memory.usage.usage);
  const limit = Number(memory.usage.limit);
  // Version 1 tells of the cgroup alone too, and there those below it count.
  const inactive = Number(memory.raw["total_inactive_file"] ?? memory.raw["inactive_file"] ?? 0);
  const transferred = (operation: string) => sumOf(blkio.ioServiceBytesRecursive ?? [], operation);
  return {
    processorTime: Number(cpu.usage.total) / 1e6,
    memory: inactive < used ? used - inactive : used,
    memoryLimit: limit > 0 && limit < machine ? limit : machine,
    read: transferred("read"),
    written: transferred("write"),
    processes: Number(pids.current),
  };
}

function sumOf(entries: readonly BlockIoEntry[], operation: string): number {
  return entries.reduce((sum, { op, value }) => (op.toLowerCase() === operation ? sum + Number(value) : sum), 0);
}

interface Traffic {
  readonly received: number;
  readonly sent: number;
}

/** What has passed through the interfaces of a process's network; nothing counts where that is the host's. */
function readTraffic(pid: number): Traffic {
  if (statSync(`/proc/${pid}/ns/net`).ino === statSync("/proc/self/ns/net").ino) return { received: 0, sent: 0 };
  return parseTraffic(readFileSync(`/proc/${pid}/net/dev`, "latin1"));
}

/** @param text of /proc/net/dev: what a container sends itself by `lo` is left out. proc_pid_net(5) */
export function parseTraffic(text: string): Traffic {
  const interfaces = text.split("\n").flatMap((line) => {
    const [, name, numbers = ""] = /^\s*([^:]+):(.*)$/.exec(line) ?? [];
    return name === undefined || name === "lo" ? [] : [numbers.trim().split(/\s+/).map(Number)];
  });
  const sum = (column: number) => interfaces.reduce((total, numbers) => total + (numbers[column] ?? 0), 0);
  return { received: sum(0), sent: sum(8) };
}

function readMachineMemory(): number {
  return Number(/^MemTotal:\s*(\d+)/m.exec(readFileSync("/proc/meminfo", "latin1"))?.[1] ?? 0) * 1024;
}

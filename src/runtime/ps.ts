import { readFileSync } from "node:fs";
import { readIfThere } from "../util/read-if-there.ts";
import type { Cgroup } from "./cgroup/cgroup.ts";

/** A process of a container, as gocker's own pid namespace has it. proc_pid_stat(5), proc_pid_status(5) */
export interface ListedProcess {
  readonly pid: number;
  readonly parent: number;
  /** Its process group and session. */
  readonly group: number;
  readonly session: number;
  /** The user and group IDs, real ones and effective ones, as the host numbers them. */
  readonly uid: number;
  readonly effectiveUid: number;
  readonly gid: number;
  readonly effectiveGid: number;
  /** `R`, `S`, `D`, `T`, `Z` and so on. */
  readonly state: string;
  /** It is in the foreground of its terminal. */
  readonly foreground: boolean;
  readonly nice: number;
  readonly threads: number;
  /** In KiB: what it has mapped, what of it is in memory, and what is locked there. */
  readonly virtualMemory: number;
  readonly residentMemory: number;
  readonly lockedMemory: number;
  /** When it started. */
  readonly started: Date;
  /** Its controlling terminal, such as `pts/0`; `?` for none. */
  readonly terminal: string;
  /** Processor time, in seconds. */
  readonly time: number;
  /** What the kernel calls it: the first 15 bytes of its program's name, or what it calls itself. */
  readonly name: string;
  /** Its words, or its name in brackets when it has none: whatever the process wants them to be. */
  readonly command: string;
}

/** The processes of a container, and what it takes to show them as ps(1) does. */
export interface ProcessList {
  /** By their numbers. */
  readonly processes: readonly ListedProcess[];
  readonly now: Date;
  /** The machine's, in KiB. */
  readonly memory: number;
  /** The host's names of users and groups; what the container calls them is not to be trusted. */
  readonly users: ReadonlyMap<number, string>;
  readonly groups: ReadonlyMap<number, string>;
}

/** USER_HZ, in which the kernel tells times to programs, on every architecture of gocker's. time(7) */
const ticksPerSecond = 100;

/** The processes of a container's cgroup. Those that end meanwhile are left out. */
export function listProcesses(cgroup: Pick<Cgroup, "processes">): ProcessList {
  const boot = Number(/^btime (\d+)$/m.exec(readFileSync("/proc/stat", "utf8"))?.[1] ?? 0) * 1000;
  const numbers = cgroup.processes().sort((a, b) => a - b);
  return {
    processes: numbers.flatMap((pid) => describe(pid, boot) ?? []),
    now: new Date(),
    memory: Number(/^MemTotal:\s*(\d+)/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1] ?? 0),
    users: namesOf("/etc/passwd"),
    groups: namesOf("/etc/group"),
  };
}

/** The names of a file of passwd(5) or group(5); the first one of a number counts. */
function namesOf(path: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of (readIfThere(path) ?? "").split("\n")) {
    const [name = "", , number = ""] = line.split(":");
    if (name !== "" && /^\d+$/.test(number) && !names.has(Number(number))) names.set(Number(number), name);
  }
  return names;
}

function describe(pid: number, boot: number): ListedProcess | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
    // The second field is the name in parentheses, and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const field = (number: number) => Number(fields[number - 3] ?? 0);
    /** The numbers of a line of `status`; memory is in KiB, and missing where a process has none. */
    const numbers = (key: string) =>
      (new RegExp(`^${key}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "").split(/\s+/).map(Number);
    const [uid = 0, effectiveUid = 0] = numbers("Uid");
    const [gid = 0, effectiveGid = 0] = numbers("Gid");
    const name = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
    return {
      pid,
      parent: field(4),
      group: field(5),
      session: field(6),
      uid,
      effectiveUid,
      gid,
      effectiveGid,
      state: fields[0] ?? "?",
      foreground: field(8) === field(5),
      nice: field(19),
      threads: field(20),
      virtualMemory: numbers("VmSize")[0] ?? 0,
      residentMemory: numbers("VmRSS")[0] ?? 0,
      lockedMemory: numbers("VmLck")[0] ?? 0,
      started: new Date(boot + (field(22) / ticksPerSecond) * 1000),
      terminal: terminalName(field(7)),
      time: (field(14) + field(15)) / ticksPerSecond,
      name,
      command: words.length > 0 ? words.join(" ") : `[${name}]`,
    };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}

/** Unix98 terminals have the major numbers 136 to 143. */
function terminalName(device: number): string {
  const major = (device >> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >> 12) & 0xfff00);
  if (major >= 136 && major <= 143) return `pts/${(major - 136) * 256 + minor}`;
  return device === 0 ? "?" : `${major}:${minor}`;
}

import { readFileSync } from "node:fs";
import type { RuntimeContainer } from "./runtime-container.ts";

/** A process of a container, as gocker's own pid namespace has it. */
export interface ListedProcess {
  readonly pid: number;
  readonly parent: number;
  /** The real user ID. */
  readonly uid: number;
  /** When it started. */
  readonly started: Date;
  /** Its controlling terminal, such as `pts/0`; `?` for none. */
  readonly terminal: string;
  /** Processor time, in seconds. */
  readonly time: number;
  /** Its words, or its name in brackets when it has none: whatever the process wants them to be. */
  readonly command: string;
}

/** USER_HZ, in which the kernel tells times to programs, on every architecture of gocker's. time(7) */
const ticksPerSecond = 100;

/**
 * The processes of a container by their numbers; none when its cgroup is gone, whoever has one at its path now. Those that
 * end meanwhile are left out. proc_pid_stat(5)
 */
export function listProcesses(container: RuntimeContainer): ListedProcess[] {
  using cgroup = container.ownCgroup();
  if (cgroup === undefined) return [];
  const boot = Number(/^btime (\d+)$/m.exec(readFileSync("/proc/stat", "utf8"))?.[1] ?? 0) * 1000;
  return cgroup
    .processes()
    .sort((a, b) => a - b)
    .flatMap((pid) => describe(pid, boot) ?? []);
}

function describe(pid: number, boot: number): ListedProcess | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
    // The second field is the name in parentheses, and may hold anything.
    const fields = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    const field = (number: number) => fields[number - 3] ?? 0;
    return {
      pid,
      parent: field(4),
      uid: Number(/^Uid:\s*(\d+)/m.exec(status)?.[1] ?? 0),
      started: new Date(boot + (field(22) / ticksPerSecond) * 1000),
      terminal: terminalName(field(7)),
      time: Math.floor((field(14) + field(15)) / ticksPerSecond),
      command: words.length > 0 ? words.join(" ") : `[${stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"))}]`,
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

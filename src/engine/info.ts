import { ContainerStore } from "../container/records.ts";
import type { ContainerStatus } from "../container/record.ts";
import { loadRegistriesConfig } from "../registry/config.ts";
import { detectCgroups } from "../runtime/cgroup/detect.ts";
import type { EngineContext } from "./context.ts";
import { errorMessage } from "../util/errors.ts";
import { type VersionInfo, versionInfo } from "./version.ts";
import { readIfThere } from "../util/read-if-there.ts";

/** What gocker has here, and what this machine gives it to work with. */
export interface SystemInfo extends VersionInfo {
  readonly root: string;
  readonly state: string;
  readonly images: number;
  /** Containers by where they are in their lives, as their records say. */
  readonly containers: Readonly<Record<ContainerStatus, number>>;
  /** The distribution's own name, if it says one. */
  readonly operatingSystem: string;
  readonly processors: number;
  /** Of the machine, in bytes. */
  readonly memory: number;
  /** Which version of cgroups has the controllers; undefined where none are mounted. */
  readonly cgroupVersion: 1 | 2 | undefined;
  /** The kernel can filter system calls. */
  readonly seccomp: boolean;
  /** The file systems that the kernel knows of those that containers need, and lacks. */
  readonly missingFileSystems: readonly string[];
  /** Mirrors and exceptions by registry. */
  readonly registries: readonly RegistryInfo[];
  /** Things that could not be read and are left out above. */
  readonly warnings: readonly string[];
}

export interface RegistryInfo {
  readonly name: string;
  readonly mirrors: readonly string[];
  readonly insecure: boolean;
  /** PEM files of authorities that are trusted for it. */
  readonly authorities: readonly string[];
}

const neededFileSystems = ["overlay", "proc", "sysfs", "tmpfs", "devpts", "mqueue"];

/** Looks around. What cannot be read becomes a warning; only a wrong configuration file throws (UsageError). */
export async function systemInfo(context: EngineContext): Promise<SystemInfo> {
  const warnings: string[] = [];
  const warn = (what: string, error: unknown) => {
    warnings.push(`${what}: ${errorMessage(error)}`);
  };
  const cgroups = detectCgroups();
  const fileSystems = new Set(readLines("/proc/filesystems").map((line) => line.split("\t").at(-1)));
  return {
    ...versionInfo(),
    root: context.root,
    state: context.state,
    images: context.images.list((error) => warn("an image is damaged", error)).length,
    containers: countContainers(context, warn),
    operatingSystem: operatingSystem(),
    processors: navigator.hardwareConcurrency,
    memory: totalMemory(),
    cgroupVersion: cgroups.v1.some(({ controllers }) => controllers.length > 0)
      ? 1
      : cgroups.v2 === undefined
        ? undefined
        : 2,
    seccomp: readLines("/proc/self/status").some((line) => line.startsWith("Seccomp:")),
    missingFileSystems: neededFileSystems.filter((name) => !fileSystems.has(name)),
    registries: await registriesOf(context),
    warnings,
  };
}

async function registriesOf({ insecureRegistries }: EngineContext): Promise<RegistryInfo[]> {
  const { registries } = await loadRegistriesConfig();
  const names = new Set([...registries.keys(), ...insecureRegistries]);
  return Array.from(names, (name) => ({
    name,
    mirrors: registries.get(name)?.mirrors ?? [],
    insecure: registries.get(name)?.insecure === true || insecureRegistries.includes(name),
    authorities: registries.get(name)?.authorities ?? [],
  }));
}

function countContainers(
  context: EngineContext,
  warn: (what: string, error: unknown) => void,
): Record<ContainerStatus, number> {
  const counts: Record<ContainerStatus, number> = { created: 0, running: 0, restarting: 0, exited: 0 };
  const records = ContainerStore.open(context.root).list((id, error) => warn(`container ${id.slice(0, 12)}`, error));
  for (const { state } of records) counts[state.status]++;
  return counts;
}

/** PRETTY_NAME of os-release(5). */
function operatingSystem(): string {
  for (const path of ["/etc/os-release", "/usr/lib/os-release"]) {
    for (const line of readLines(path)) {
      const name = /^PRETTY_NAME=(?:"(.*)"|'(.*)'|(.*))$/.exec(line);
      if (name !== null) return name[1] ?? name[2] ?? name[3] ?? "";
    }
  }
  return "Linux";
}

/** proc_meminfo(5): kibibytes, although it says kB. */
function totalMemory(): number {
  const line = readLines("/proc/meminfo").find((one) => one.startsWith("MemTotal:")) ?? "";
  return Number(/\d+/.exec(line)?.[0] ?? 0) * 1024;
}

/** The lines of a file that may be missing. */
function readLines(path: string): string[] {
  return (readIfThere(path) ?? "").split("\n");
}

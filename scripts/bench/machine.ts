import { existsSync, readFileSync } from "node:fs";
import { arch, cpus, release, totalmem } from "node:os";

import { outputOf } from "./command.ts";

/** What the numbers depend on. */
export interface Machine {
  readonly kernel: string;
  readonly architecture: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly cgroups: "v1" | "v2" | "hybrid" | "none";
  /** The mount option that makes the first write to cgroup.procs cheap. */
  readonly favordynmods: boolean;
  /** Of the others, by their names; only those that are installed. */
  readonly versions: Readonly<Record<string, string>>;
  /** Processes that could run, averaged over the last minute: what else the machine was doing. */
  readonly load: number;
}

export function describeMachine(): Machine {
  const [processor] = cpus();
  const mounts = readFileSync("/proc/self/mounts", "utf8");
  const tools = ["podman", "dockerd", "crun", "runc", "skopeo", "umoci", "curl", "tar"];
  const versions = tools.flatMap((tool): [string, string][] => {
    const number = /\d+\.\d+(\.\d+)?/.exec(outputOf(tool, "--version") ?? "")?.[0];
    return number === undefined ? [] : [[tool, number]];
  });
  return {
    kernel: release(),
    architecture: arch(),
    processor: processor?.model ?? "unknown",
    cores: cpus().length,
    memoryBytes: totalmem(),
    cgroups: cgroupMode(),
    favordynmods: /^\S+ \S+ cgroup2? \S*favordynmods/m.test(mounts),
    versions: Object.fromEntries(versions),
    load: loadAverage(),
  };
}

export function loadAverage(): number {
  return Number(readFileSync("/proc/loadavg", "utf8").split(" ")[0]);
}

function cgroupMode(): Machine["cgroups"] {
  const root = "/sys/fs/cgroup";
  if (existsSync(`${root}/cgroup.controllers`)) return "v2";
  if (existsSync(`${root}/unified/cgroup.controllers`)) return "hybrid";
  return existsSync(`${root}/memory`) || existsSync(`${root}/systemd`) ? "v1" : "none";
}

import { readFileSync } from "node:fs";

import { firstProcess, type LifeEngine, removeAll, startIdle } from "./life.ts";
import type { Setting } from "./setting.ts";
import { type Summary, summarise } from "./statistics.ts";
import type { WarmImage } from "./warm.ts";

/** How many containers are idle at once: what their monitors share is divided among as many. */
export const idleContainers = 10;

/** What an engine keeps in memory for each idle container. */
export interface MemoryRow {
  readonly name: string;
  /** Proportional set size in bytes, see {@link proportionalBytes}. */
  readonly bytes?: Summary;
  readonly problem?: string;
}

/** Measures the parent of each container's first process: gocker's monitor, podman's conmon. */
export async function measureIdleMemory(
  setting: Setting,
  engines: readonly LifeEngine[],
  image: WarmImage,
): Promise<MemoryRow[]> {
  const rows: MemoryRow[] = [];
  for (const engine of engines) {
    try {
      rows.push({ name: `${engine.name}'s monitor`, bytes: summarise(await measureOne(setting, engine, image)) });
    } catch (error) {
      rows.push({ name: `${engine.name}'s monitor`, problem: error instanceof Error ? error.message : String(error) });
    }
  }
  return rows;
}

async function measureOne(setting: Setting, engine: LifeEngine, image: WarmImage): Promise<number[]> {
  await using _ = {
    [Symbol.asyncDispose]: async () => {
      await engine.runner.run({ words: removeAll(engine) }, { memory: false });
    },
  };
  const monitors: number[] = [];
  for (let index = 0; index < idleContainers; index++) {
    const name = `bench-idle-${index}`;
    await engine.runner.run({ words: startIdle(engine, image, name) }, { memory: false });
    monitors.push(parentOf(await firstProcess(setting, engine, name)));
  }
  if (new Set(monitors).size !== idleContainers) throw new Error("the containers do not have a monitor each");
  return monitors.map((pid) => proportionalBytes(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8")));
}

/** The memory of a process, each page divided by how many processes have it, in bytes. proc_pid_smaps(5) */
function proportionalBytes(smapsRollup: string): number {
  const kilobytes = /^Pss:\s+(\d+) kB$/m.exec(smapsRollup)?.[1];
  if (kilobytes === undefined) throw new Error("the kernel does not tell the proportional set size");
  return Number(kilobytes) * 1024;
}

function parentOf(pid: number): number {
  const parent = Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  if (!(parent > 1)) throw new Error(`process ${pid} has no parent that watches it`);
  return parent;
}

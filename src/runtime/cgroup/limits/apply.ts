import type { Resources } from "../../../oci/runtime-spec.ts";
import type { Cgroup } from "../cgroup.ts";
import { requireController } from "../delegation.ts";
import { CgroupError } from "../errors.ts";
import { readControl } from "../files.ts";
import { type Limits, readLimits } from "./limits.ts";
import { onlyInVersion, type Setting } from "./setting.ts";
import { v1Settings } from "./v1.ts";
import { type Present, v2Settings } from "./v2.ts";
import { changeSettings, type DirectoryOf, type UndoSettings, writeSettings } from "./write.ts";

/** See {@link Cgroup.applyResources}. */
export function applyResources(cgroup: Cgroup, resources: Resources): string[] {
  const limits = readLimits(resources);
  writeSettings(settingsFor(cgroup, limits, {}), directories(cgroup));
  return notesOn(cgroup, limits);
}

/** See {@link Cgroup.updateResources}. */
export function updateResources(cgroup: Cgroup, resources: Resources): string[] {
  return changeResources(cgroup, resources).notes;
}

/** Limits that have been changed, and how to have those of before. */
export interface ChangedResources {
  readonly settings: readonly Setting[];
  /** See {@link Cgroup.updateResources}. */
  readonly notes: string[];
  readonly undo: UndoSettings;
  /** Writes the same again, where somebody else may have written meanwhile. */
  readonly repeat: () => void;
}

/** As {@link Cgroup.updateResources}, for a change of which this is a part. @throws as that */
export function changeResources(cgroup: Cgroup, resources: Resources): ChangedResources {
  const limits = readLimits(resources);
  const { memory, cpu } = limits;
  const settings = settingsFor(cgroup, limits, {
    memoryMax: memory.swap !== undefined && memory.limit === undefined ? present(cgroup, "memory", "max") : undefined,
    cpuMax: cpu.period !== undefined && cpu.quota === undefined ? present(cgroup, "cpu", "max") : undefined,
  });
  if (memory.checkBeforeUpdate) refuseLessThanUsed(cgroup, limits);
  const undo = changeSettings(settings, directories(cgroup));
  const notes = notesOn(cgroup, limits);
  if ((resources.devices?.length ?? 0) > 0) {
    // As runc: rules of version 1 cannot be replaced without a moment in which others hold.
    notes.push("linux.resources.devices has no effect: the rules that the container was made with stay in force");
  }
  return { settings, notes, undo, repeat: () => writeSettings(settings, directories(cgroup)) };
}

/** The settings of a cgroup that is new, or will be. @throws as {@link Cgroup.applyResources} */
export function newSettings(cgroup: Cgroup, resources: Resources): Setting[] {
  return settingsFor(cgroup, readLimits(resources), {});
}

/** The settings of all controllers, each in the version that has it on this host. */
function settingsFor(cgroup: Cgroup, limits: Limits, now: Present): Setting[] {
  const hasV2 = cgroup.place("cgroup") !== undefined;
  if (!hasV2 && limits.unified.length > 0) {
    throw onlyInVersion(2, "linux.resources.unified", "every controller");
  }
  const isV1 = (controller: string): boolean => {
    const place = cgroup.place(controller);
    return place === undefined ? !hasV2 : place.version === 1;
  };
  return [
    ...v1Settings(limits, isV1),
    ...(hasV2 ? v2Settings(limits, (controller) => !isV1(controller === "io" ? "blkio" : controller), now) : []),
  ];
}

function directories(cgroup: Cgroup): DirectoryOf {
  return ({ property, controller, ifPresent }) => {
    const place = cgroup.place(controller);
    if (place === undefined) {
      if (ifPresent === true) return undefined;
      throw new CgroupError(
        "CGROUPS_UNABLE",
        `${property} needs the ${controller} controller, which is not mounted on this host`,
        { hint: "mount it, or run the container without that limit" },
      );
    }
    if (place.version === 2 && controller !== "cgroup") {
      requireController(place.mountPoint, cgroup.path, controller, property);
    }
    return place.mountPoint + cgroup.path;
  };
}

/** A file of a controller in version 2; undefined in version 1, or when the controller is not enabled. */
function present(cgroup: Cgroup, controller: string, file: string): string | undefined {
  const place = cgroup.place(controller);
  if (place?.version !== 2) return undefined;
  requireController(place.mountPoint, cgroup.path, controller, `linux.resources.${controller}`);
  return readControl(`${place.mountPoint}${cgroup.path}/${controller}.${file}`);
}

/** Version 1 refuses by itself; version 2 takes any limit and has processes killed until it holds. */
function refuseLessThanUsed(cgroup: Cgroup, { memory: { limit, swap } }: Limits): void {
  const text = present(cgroup, "memory", "current");
  if (text === undefined) return;
  const used = Number(text);
  for (const [name, value] of [
    ["memory+swap", swap],
    ["memory", limit],
  ] as const) {
    if (value === undefined || value === -1 || value > used) continue;
    throw new CgroupError("CGROUPS_UNABLE", `rejecting ${name} limit ${value} <= usage ${used}`, {
      hint: "linux.resources.memory.checkBeforeUpdate is set: take a higher limit",
    });
  }
}

function notesOn(cgroup: Cgroup, { notes, memory }: Limits): string[] {
  const all = [...notes];
  if (memory.kernelTcp !== undefined && cgroup.place("memory")?.version === 2) {
    all.push("linux.resources.memory.kernelTCP has no effect: cgroups of version 2 count it with other memory");
  }
  return all;
}

import { CgroupError } from "./errors.ts";
import { exists, readControl, writeControl } from "./files.ts";
import { makeCgroup } from "./tree.ts";

/** By them it is known whether a cgroup was given all that the host has: they are what limits and statistics are about. */
const usualControllers = ["cpu", "cpuset", "io", "memory", "pids"] as const;

/** Where processes of a nested host are moved to when its root has to hand controllers down. */
const leafName = "init";

/**
 * Hands all controllers down to the cgroup at `path` (version 2), as runc and crun do: each cgroup above it has to have
 * them in its cgroup.subtree_control. Those that the host cannot hand down are left out; {@link requireController} is for those
 * that a limit needs.
 */
export function delegateDefaults(mountPoint: string, path: string): void {
  // Where an earlier container has been, they are there already: one read tells.
  const present = words(`${mountPoint}${path}/cgroup.controllers`);
  if (usualControllers.every((controller) => present.includes(controller))) return;
  const wanted = words(`${mountPoint}/cgroup.controllers`).filter((controller) => !present.includes(controller));
  if (wanted.length === 0) return;
  for (const directory of above(mountPoint, path)) enable(directory, wanted);
}

/**
 * Makes sure that the cgroup at `path` has a controller.
 * @param property the path of the property that needs it, for errors
 * @throws CgroupError the host does not have it in the unified hierarchy, or cannot hand it down
 */
export function requireController(mountPoint: string, path: string, controller: string, property: string): void {
  if (words(`${mountPoint}${path}/cgroup.controllers`).includes(controller)) return;
  if (!words(`${mountPoint}/cgroup.controllers`).includes(controller)) {
    throw new CgroupError(
      "CGROUPS_UNABLE",
      `${property} needs the ${controller} controller, which this host does not offer: ` +
        `the requested cgroup controller \`${controller}\` is not available`,
      {
        hint: `see ${mountPoint}/cgroup.controllers; the kernel may have it switched off (cgroup_disable=)`,
      },
    );
  }
  for (const directory of above(mountPoint, path)) {
    let failure = enable(directory, [controller])[0];
    if (failure !== undefined && directory === mountPoint && isBusy(failure) && exists(`${directory}/cgroup.type`)) {
      moveProcessesDown(directory);
      failure = enable(directory, [controller])[0];
    }
    if (failure === undefined) continue;
    const deed = `the ${controller} controller cannot be handed down from ${directory}`;
    throw new CgroupError("CGROUPS_UNABLE", `${property} cannot be set: ${deed}`, {
      hint: isBusy(failure)
        ? `processes are in ${directory} itself, which the kernel forbids then: move them to a cgroup below it`
        : undefined,
      cause: failure,
    });
  }
}

/** The cgroups above the one at `path`, from the mount point down. */
function above(mountPoint: string, path: string): string[] {
  const names = path.split("/").slice(1, -1);
  return [mountPoint, ...names.map((_, index) => `${mountPoint}/${names.slice(0, index + 1).join("/")}`)];
}

/**
 * Enables controllers for the children of a cgroup: all at once, and when that fails one by one, as the kernel takes
 * all of a write or none.
 * @returns the errors of those that could not be enabled
 */
function enable(directory: string, controllers: readonly string[]): unknown[] {
  const file = `${directory}/cgroup.subtree_control`;
  const enabled = words(file);
  const missing = controllers.filter((controller) => !enabled.includes(controller));
  if (missing.length === 0) return [];
  try {
    writeControl(file, missing.map((controller) => `+${controller}`).join(" "));
    return [];
  } catch (error) {
    if (missing.length === 1) return [error];
    return missing.flatMap((controller) => enable(directory, [controller]));
  }
}

/**
 * Clears the root of a cgroup namespace, where gocker runs inside of a container: only the host's true root may have
 * both processes and children with controllers (cgroup-v2.rst, "No Internal Process Constraint"). They go to a cgroup
 * of their own below it, as the usual images for nested containers do at their start.
 */
function moveProcessesDown(directory: string): void {
  const leaf = `${directory}/${leafName}`;
  makeCgroup(directory, `/${leafName}`, []);
  for (const pid of words(`${directory}/cgroup.procs`)) {
    try {
      writeControl(`${leaf}/cgroup.procs`, pid);
    } catch (error) {
      if ((error as { code?: string }).code !== "ESRCH") throw error;
    }
  }
}

function isBusy(error: unknown): boolean {
  return (error as { code?: string }).code === "EBUSY";
}

/** The words of a control file. */
function words(path: string): string[] {
  const text = readControl(path);
  return text === "" ? [] : text.split(/\s+/);
}

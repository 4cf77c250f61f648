import { existsSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import type { Cgroup } from "../../src/runtime/cgroup/cgroup.ts";
import { detectCgroups } from "../../src/runtime/cgroup/detect.ts";
import { openCgroup } from "../../src/runtime/cgroup/open.ts";

/*
 * The real hierarchies of this host, with a cgroup of these tests' own in each.
 */

/** The path of the cgroup that all others are made in. */
export const parent = `/gocker-limits-test-${process.pid}`;
export const host = detectCgroups();
export const root = process.getuid?.() === 0;
/** Where {@link parent} is in each hierarchy. */
export const directories = [
  ...host.v1.map(({ mountPoint }) => mountPoint),
  ...(host.v2 === undefined ? [] : [host.v2]),
].map((mountPoint) => mountPoint + parent);

/** Whether controllers can be tested here, in version 1. */
export const hasV1 = (...controllers: string[]): boolean =>
  root && controllers.every((name) => host.v1.some((hierarchy) => hierarchy.controllers.includes(name)));
/** Whether a controller can be tested here, in version 2. */
export const hasV2 = (controller: string): boolean =>
  root &&
  host.v2 !== undefined &&
  readFileSync(`${host.v2}/cgroup.controllers`, "utf8").trim().split(" ").includes(controller);
export const has = (controller: string): boolean => hasV1(controller) || hasV2(controller);

/** What the host hands down: a limit may add to it, and these tests take that back. */
const handedDown =
  root && host.v2 !== undefined ? readFileSync(`${host.v2}/cgroup.subtree_control`, "utf8").trim() : "";

/** For `afterAll`. */
export function cleanUpCgroups(): void {
  for (const directory of directories) if (existsSync(directory)) rmdirSync(directory);
  if (!root || host.v2 === undefined) return;
  const file = `${host.v2}/cgroup.subtree_control`;
  for (const controller of readFileSync(file, "utf8").trim().split(" ")) {
    if (controller === "" || handedDown.split(" ").includes(controller)) continue;
    try {
      writeFileSync(file, `-${controller}`);
    } catch (error) {
      // Others, containers' parents such as /gocker, hand it down by now: then it stays.
      if ((error as { code?: string }).code !== "EBUSY") throw error;
    }
  }
}

let count = 0;

/** A new cgroup, which is ended and removed at the end of the scope. */
export function made(path = `${parent}/${++count}`): Cgroup & Disposable {
  const cgroup = openCgroup(path);
  cgroup.create();
  const dispose = cgroup[Symbol.dispose].bind(cgroup);
  cgroup[Symbol.dispose] = () => {
    cgroup.kill();
    cgroup.remove();
    dispose();
  };
  return cgroup;
}

/** A control file's path: by its controller's hierarchy. */
export function fileOf(cgroup: Cgroup, file: string): string {
  const controller = file.slice(0, file.indexOf("."));
  return `${cgroup.place(controller)?.mountPoint ?? ""}${cgroup.path}/${file}`;
}

export function valueOf(cgroup: Cgroup, file: string): string {
  return readFileSync(fileOf(cgroup, file), "utf8").trim();
}

export function values(cgroup: Cgroup, ...files: string[]): string[] {
  return files.map((file) => valueOf(cgroup, file));
}

/** Starts a shell and moves it into the cgroup in the hierarchies of some controllers, before the script runs. */
export function startIn(cgroup: Cgroup, controllers: string[], script: string): Bun.Subprocess {
  const joins = controllers.map(
    (name) => `echo $$ >${cgroup.place(name)?.mountPoint ?? ""}${cgroup.path}/cgroup.procs`,
  );
  return Bun.spawn(["sh", "-c", [...joins, script].join("\n")], { stdio: ["ignore", "ignore", "ignore"] });
}

import { posix } from "node:path";
import type { Step } from "../../linux/launch/plan.ts";
import { NotFoundError, UsageError } from "../../util/errors.ts";
import type { Cgroup } from "./cgroup.ts";
import { type CgroupHost, detectCgroups, type V1Hierarchy } from "./detect.ts";
import { execCgroupPath } from "./exec-path.ts";
import { exists } from "./files.ts";
import { NoCgroup } from "./no-cgroup.ts";
import { openCgroup } from "./open.ts";
import { CgroupV1 } from "./v1.ts";

/** What a process joins; see `Cgroup` for both. */
export interface JoinedCgroup extends Disposable {
  joinSteps(): Step[];
  readonly cloneInto: number | undefined;
}

/** `--cgroup` of `exec`: paths below the container's own cgroup, by controllers of version 1, or by "" for all there are. */
export type SubCgroups = ReadonlyMap<string, string>;

/**
 * Takes the values of `--cgroup` apart: `PATH` once, or `CONTROLLER[,CONTROLLER...]:PATH` for each.
 * @throws UsageError
 */
export function parseSubCgroups(values: readonly string[]): SubCgroups {
  const paths = new Map<string, string>();
  for (const value of values) {
    const colon = value.indexOf(":");
    if (colon < 0 && values.length > 1) {
      throw new UsageError(`--cgroup ${value} does not say of which controllers`, { hint: "CONTROLLER:PATH" });
    }
    const controllers = colon < 0 ? [""] : value.slice(0, colon).split(",");
    for (const controller of controllers) {
      if (colon >= 0 && controller === "") throw new UsageError(`--cgroup ${value} has a controller without a name`);
      if (paths.has(controller)) throw new UsageError(`--cgroup has ${controller} twice`);
      paths.set(controller, value.slice(colon + 1));
    }
  }
  return paths;
}

/**
 * What a further process of a container joins: the container's cgroup, or cgroups below it that are there already.
 * @param pid the container's first process, as this process sees it
 * @throws UsageError a path that leads out of the container's cgroup, or an unknown controller; NotFoundError
 */
export function openExecCgroup(
  own: Cgroup,
  pid: number,
  sub: SubCgroups,
  host: CgroupHost = detectCgroups(),
): JoinedCgroup {
  if (own instanceof NoCgroup) {
    if (sub.size === 0) return own;
    throw new UsageError("--cgroup: the container has no cgroup");
  }
  if (sub.size === 0) return openCgroup(execCgroupPath(own, pid), host);
  const all = sub.get("");
  if (all !== undefined) {
    const path = pathBelow(own, all);
    for (const { mountPoint } of host.v1) checkThere(mountPoint + path);
    if (host.v2 !== undefined) checkThere(host.v2 + path);
    return openCgroup(path, host);
  }
  const others = new Map<V1Hierarchy, string>();
  for (const [controller, below] of sub) {
    const hierarchy = host.v1.find(({ controllers }) => controllers.includes(controller));
    if (hierarchy === undefined) {
      throw new UsageError(`--cgroup: unknown controller ${controller}`, {
        hint: "only those of version 1 have cgroups of their own",
      });
    }
    const path = pathBelow(own, below);
    checkThere(hierarchy.mountPoint + path);
    others.set(hierarchy, path);
  }
  const rest = { ...host, v1: host.v1.filter((hierarchy) => !others.has(hierarchy)) };
  const isLeft = rest.v1.length > 0 || rest.v2 !== undefined;
  return new SeveralCgroups([
    ...(isLeft ? [openCgroup(own.path, rest)] : []),
    ...[...others].map(([hierarchy, path]) => new CgroupV1([hierarchy], path)),
  ]);
}

/** The first of them is the one that is joined by being made in it, where there is one of version 2. */
class SeveralCgroups implements JoinedCgroup {
  readonly #cgroups: readonly Cgroup[];

  constructor(cgroups: readonly Cgroup[]) {
    this.#cgroups = cgroups;
  }

  joinSteps(): Step[] {
    return this.#cgroups.flatMap((cgroup) => cgroup.joinSteps());
  }

  get cloneInto(): number | undefined {
    return this.#cgroups[0]?.cloneInto;
  }

  [Symbol.dispose](): void {
    for (const cgroup of this.#cgroups) cgroup[Symbol.dispose]();
  }
}

function pathBelow(own: Cgroup, below: string): string {
  const path = posix.normalize(`${own.path}/${below}`).replace(/\/$/, "");
  if (path === own.path || path.startsWith(`${own.path}/`)) return path;
  throw new UsageError(`bad sub cgroup path ${JSON.stringify(below)}: it leads out of the container's own`);
}

function checkThere(directory: string): void {
  if (exists(directory)) return;
  throw new NotFoundError(`error adding pid to cgroup ${directory}: no such file or directory`, {
    hint: "--cgroup takes one that is there already",
  });
}

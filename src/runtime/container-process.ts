import { statSync } from "node:fs";
import { lastCapability } from "../linux/capabilities.ts";
import { launch, type LaunchedProcess } from "../linux/launch/launch.ts";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import { NotFoundError } from "../util/errors.ts";
import type { Cgroup } from "./cgroup/cgroup.ts";
import type { TargetKind } from "./plan/builder.ts";
import { buildLaunchPlan, type LaunchPlan } from "./plan/launch-plan.ts";
import type { RootFileSystem } from "./root.ts";
import { compileSeccomp } from "./seccomp/compile.ts";

/** What a container's first process is started from. */
export interface ContainerProcessOptions {
  readonly id: string;
  readonly spec: RuntimeSpec;
  readonly root: RootFileSystem;
  /** Made already; its descriptors stay open until the process is launched. */
  readonly cgroup: Cgroup;
  /** See `MountFacts.resolveTarget`. */
  resolveTarget(path: string): string;
  readonly terminalSocket?: number | undefined;
  readonly reaper: boolean;
  readonly diesWithParent: boolean;
}

/** The launch plan for this host, now: looks up what the plan depends on and changes nothing. */
export function planContainer(options: ContainerProcessOptions): LaunchPlan {
  const { spec } = options;
  return buildLaunchPlan({
    id: options.id,
    spec,
    root: options.root,
    joinCgroup: options.cgroup.joinSteps(),
    facts: {
      sourceKind,
      resolveTarget: (path) => options.resolveTarget(path),
      cgroupView: options.cgroup.view(),
      lastCapability: lastCapability(),
    },
    seccomp: spec.linux?.seccomp === undefined ? undefined : compileSeccomp(spec.linux.seccomp),
    terminalSocket: options.terminalSocket,
    reaper: options.reaper,
    diesWithParent: options.diesWithParent,
  });
}

/** Starts the process of a plan. @throws SystemCallError */
export function launchContainer(
  plan: LaunchPlan,
  options: ContainerProcessOptions,
  process: { readonly stdio: readonly [number, number, number]; readonly timed: boolean },
): LaunchedProcess {
  const joined = plan.steps.flatMap((step) => (step.group === "cgroup" ? step.args.slice(0, 1) : []));
  const descriptors = joined.filter((argument) => typeof argument === "number");
  if (options.terminalSocket !== undefined) descriptors.push(options.terminalSocket);
  return launch({
    namespaces: plan.namespaces,
    intoCgroup: options.cgroup.cloneInto,
    steps: plan.steps,
    stdio: process.stdio,
    descriptors: [...new Set(descriptors)],
    timed: process.timed,
  });
}

function sourceKind(source: string): TargetKind {
  try {
    return statSync(source).isDirectory() ? "directory" : "file";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new NotFoundError(`the source of a mount does not exist: ${source}`, { cause: error });
  }
}


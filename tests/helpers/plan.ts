import { showCall } from "../../src/cli/explain/arguments.ts";
import { cloneFlags } from "../../src/cli/explain/names.ts";
import { flags } from "../../src/cli/explain/structures.ts";
import { defaultCapabilities } from "../../src/linux/capabilities.ts";
import type { Step } from "../../src/linux/launch/plan.ts";
import type { Capabilities, Linux, Mount, Process, RuntimeSpec } from "../../src/oci/runtime-spec.ts";
import { buildLaunchPlan, type LaunchPlan, type LaunchPlanInput } from "../../src/runtime/plan/launch-plan.ts";
import type { DirectoryRoot, OverlayRoot } from "../../src/runtime/root.ts";

/** A filter of two instructions: the plan only hands it on. */
export const someFilter = { program: new Uint8Array(16), flags: 0 };

export const directoryRoot: DirectoryRoot = { kind: "directory", path: "/bundle/rootfs" };

export const overlayRoot: OverlayRoot = {
  kind: "overlay",
  base: "/store",
  lower: ["layers/one", "layers/two"],
  upper: "containers/c/upper",
  work: "containers/c/work",
  target: "containers/c/rootfs",
  volatile: true,
  layersOneByOne: true,
};

/** The least that a container needs. */
export function minimalSpec(change: Partial<RuntimeSpec> = {}, process: Partial<Process> = {}): RuntimeSpec {
  return {
    ociVersion: "1.1.0",
    process: { cwd: "/", args: ["/bin/true"], user: { uid: 0, gid: 0 }, ...process },
    linux: { namespaces: [{ type: "mount" }] },
    ...change,
  };
}

export function allCapabilitySets(): Capabilities {
  const own = [...defaultCapabilities];
  return { bounding: own, effective: own, permitted: own };
}

/** A host where every source is a directory outside, or a file when its name ends in `.file`, and images have no links. */
export const someFacts: LaunchPlanInput["facts"] = {
  sourceKind: (source) => (source.endsWith(".file") ? "file" : "directory"),
  placeInRoot: () => undefined,
  modeAt: () => undefined,
  isProcfs: (source) => source === "/proc",
  resolveTarget: (path) => path,
  kernelPath: (path) => (path.endsWith("kcore") || path.endsWith("keys") ? "file" : "directory"),
  cgroupView: undefined,
  lastCapability: 40,
  hardLimit: () => 1_048_576n,
  lsm: () => ({ apparmor: true, selinux: true }),
  namespaceAt: undefined,
  mayTrace: () => true,
};

/** A plan on the host of {@link someFacts}. */
export function planOf(spec: RuntimeSpec, change: Partial<LaunchPlanInput> = {}): LaunchPlan {
  return buildLaunchPlan({
    id: "c0ffee",
    spec,
    root: directoryRoot,
    joinCgroup: [],
    facts: someFacts,
    seccomp: undefined,
    nullStdio: [],
    reaper: false,
    diesWithParent: false,
    ...change,
  });
}

/** A plan as people read it: a call to a line, and below it what the step does when it is no matter of course. */
export function planText({ namespaces, steps }: Pick<LaunchPlan, "namespaces" | "steps">): string {
  const lines = steps.flatMap((step) => [`# ${step.label}`, showCall(step), ...conditionsOf(step)]);
  return [`clone3 ${flags(namespaces, cloneFlags)}`, ...lines].join("\n");
}

function conditionsOf({ onError, onSuccess }: Step): string[] {
  const conditions: string[] = [];
  if (onError !== undefined) {
    const errors = onError.tolerate === "any" ? "any error" : onError.tolerate.join(", ");
    const skip = onError.skip === undefined ? "" : `, skips ${onError.skip}`;
    conditions.push(`  tolerates ${errors}${skip}${onError.report === true ? ", reported" : ""}`);
  }
  if (onSuccess?.skip !== undefined) conditions.push(`  skips ${onSuccess.skip} on success`);
  if (onSuccess?.parent !== undefined) conditions.push(`  the parent ${onSuccess.parent}`);
  return conditions;
}

/** The calls of a plan, to look for one. */
export function callsOf(plan: Pick<LaunchPlan, "steps">): string[] {
  return plan.steps.map(showCall);
}

/** A plan with these mounts in a new mount namespace. */
export function withMounts(
  mounts: Mount[],
  change: { linux?: Linux; process?: Partial<Process>; input?: Partial<LaunchPlanInput> } = {},
): LaunchPlan {
  const linux = { namespaces: [{ type: "mount" as const }], ...change.linux };
  return planOf(minimalSpec({ mounts, linux }, change.process), change.input);
}

/** The part of a plan that is about one place. */
export function stepsFor(plan: LaunchPlan, pattern: RegExp): string[] {
  return callsOf(plan).filter((call) => pattern.test(call));
}

/** A bind mount of a directory. */
export const bind = (destination: string, ...options: string[]): Mount => ({
  destination,
  source: "/srv/data",
  options: ["rbind", ...options],
});

import { MOUNT_ATTR_RDONLY } from "../../linux/constants.ts";
import { pauseSteps } from "../../linux/launch/plan.ts";
import type { RuntimeSpec } from "../../oci/runtime-spec.ts";
import { parseMountOptions } from "../mount-options.ts";
import type { RootFileSystem } from "../root.ts";
import { PlanBuilder } from "./builder.ts";
import { sealMounts } from "./file-systems.ts";
import { isBind, takeSharedTrees } from "./host-trees.ts";
import type { MountContext, MountFacts } from "./mount-context.ts";
import { addMounts, orderOfMounts } from "./mounts.ts";
import { addEarlyDeathSignal } from "./process.ts";
import { addPivotSteps, addPropagationStep, addRootSteps } from "./root-file-system.ts";

/** The pause at which everything is in its place. */
export const viewIsThere = 1;

/**
 * The plan of a process that has the files of a container that does not run, and does nothing: its root directory and what
 * the host has given it, by the steps by which a container gets them. No file system of the kernel's is there, and no
 * tmpfs, which would be empty.
 * @param release the reading end of a pipe of the launcher's, see `pauseSteps`
 * @throws InvalidDocumentError a mount breaks the specification's rules
 */
export function buildViewPlan(
  spec: RuntimeSpec,
  root: RootFileSystem,
  facts: MountFacts,
  release: number,
): Pick<PlanBuilder, "steps" | "parts"> {
  const builder = new PlanBuilder();
  const given = (spec.mounts ?? []).filter((mount) => {
    const options = parseMountOptions(mount.options ?? []);
    return options.remount !== true && isBind(mount, options);
  });
  addEarlyDeathSignal(builder);
  builder.add({ label: "Let modes be as given", group: "file system", syscall: "umask", args: [0] });
  const trees = takeSharedTrees(builder, given, facts, { isCutOff: true, root });
  addPropagationStep(builder, "rprivate");
  addRootSteps(builder, root);
  const order = orderOfMounts(given, facts);
  const context: MountContext = {
    facts,
    made: new Map(),
    mounted: new Map(),
    trees,
    own: new Set(["mount"]),
    order,
    given,
    sealed: [],
  };
  addMounts(builder, order, context);
  sealMounts(builder, context.sealed);
  addPivotSteps(builder);
  if (spec.root?.readonly === true) {
    builder.setMountAttributes({
      label: "Make the root directory read-only",
      group: "file system",
      mount: builder.root,
      set: MOUNT_ATTR_RDONLY,
    });
  }
  for (const step of pauseSteps("Show the files", viewIsThere, release)) builder.add(step);
  return builder;
}

import { CLONE_NEWUSER } from "../../linux/constants.ts";
import type { PlanBuilder } from "./builder.ts";
import { addRootOfNamespace } from "./namespaces.ts";
import { addHiding } from "./process.ts";

/** A container that a process enters: descriptors of gocker's, open in the new process under the same numbers. */
export interface JoinTarget {
  /** Of the container's first process. */
  readonly pidfd: number;
  /** Of its root directory, opened by `/proc/PID/root` with O_PATH. */
  readonly root: number;
  /** The CLONE_NEW… flags of the namespaces in which the container is not where gocker is. */
  readonly namespaces: number;
  /** See `deniesSetgroups`, of the container's user namespace. */
  readonly setgroupsDenied?: boolean;
}

const group = "namespaces";

/**
 * Enters a container: all of its namespaces at once, as the root of its user namespace, and its root directory. The process itself stays in its pid
 * namespace, only its children will be in the container's. setns(2) with a pidfd, Linux 5.8
 */
export function addJoin(builder: PlanBuilder, { pidfd, root, namespaces, setgroupsDenied = false }: JoinTarget): void {
  // Processes of the container see this one as soon as it is there.
  addHiding(builder);
  if (namespaces !== 0) {
    builder.add({ label: "Enter the container's namespaces", group, syscall: "setns", args: [pidfd, namespaces] });
  }
  if ((namespaces & CLONE_NEWUSER) !== 0) addRootOfNamespace(builder, { setgroupsDenied });
  builder.add({ label: "Go to the container's root directory", group, syscall: "fchdir", args: [root] });
  builder.add({ label: "Make it the root of all paths", group, syscall: "chroot", args: ["."] });
}

import { CLONE_NEWUSER } from "../../linux/constants.ts";
import type { PlanBuilder } from "./builder.ts";
import type { PlannedNamespaces } from "./namespaces.ts";

const group = "namespaces";

export interface UserNamespaceSetup {
  /** The reading end of a pipe: the launcher writes a byte when the IDs are mapped. For a namespace that is new. */
  readonly release?: number | undefined;
  /**
   * The namespace has no setgroups(2), see `writeIdMappings`, or /proc/PID/setgroups of one that is joined: the groups of
   * whoever started gocker stay.
   */
  readonly denySetgroups?: boolean;
}

/**
 * Becomes the root of the user namespace that the process is in by now; of a new one once the launcher has mapped its IDs.
 * Nothing for a container without one. Until then the process is the host's root still to the files that it opens, and
 * afterwards it may not write most of what is its own in /proc: that comes before. When the launcher ends instead of
 * mapping, becoming root fails. user_namespaces(7)
 */
export function addUserNamespaceSetup(
  builder: PlanBuilder,
  plan: Pick<PlannedNamespaces, "made" | "own" | "flagsOfRoot">,
  setup: UserNamespaceSetup,
): void {
  if (!plan.own.has("user")) return;
  if ((plan.made & CLONE_NEWUSER) !== 0) addWait(builder, setup.release);
  addRootOfNamespace(builder, setup.denySetgroups === true);
  if (plan.flagsOfRoot !== 0) {
    builder.add({ label: "Make what its root owns", group, syscall: "unshare", args: [plan.flagsOfRoot] });
  }
}

function addWait(builder: PlanBuilder, release: number | undefined): void {
  if (release === undefined) throw new RangeError("a new user namespace needs a launcher that maps its IDs");
  const byte = new Uint8Array(1);
  builder.add({
    label: "Wait until the IDs of the user namespace are mapped",
    group,
    syscall: "read",
    args: [release, byte, byte.length],
  });
}

/** Becomes root of the user namespace that the process is in, such as one that `exec` has joined. */
export function addRootOfNamespace(builder: PlanBuilder, denySetgroups = false): void {
  // While the process may still give them up; what is not mapped would stay.
  if (!denySetgroups) {
    builder.add({ label: "Leave the host's groups", group, syscall: "setgroups", args: [0, 0] });
  }
  builder.add({ label: "Become the namespace's group 0", group, syscall: "setresgid", args: [0, 0, 0] });
  builder.add({ label: "Become the namespace's root", group, syscall: "setresuid", args: [0, 0, 0] });
}

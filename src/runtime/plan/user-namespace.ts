import type { PlanBuilder } from "./builder.ts";

const group = "namespaces";

export interface UserNamespaceSetup {
  /** The reading end of a pipe: the launcher writes a byte when the IDs are mapped. */
  readonly waitDescriptor: number;
  /** The namespace has no setgroups(2), see `writeIdMappings`: the groups of whoever started gocker stay. */
  readonly denySetgroups?: boolean;
}

/**
 * Waits until the launcher has mapped the IDs of a new user namespace, and becomes its root. Until then the process is the
 * host's root still, to the files that it opens: so what the container's root may not open itself comes before it.
 * When the launcher ends instead, nothing is mapped, and becoming root fails. user_namespaces(7)
 */
export function addUserNamespaceSetup(builder: PlanBuilder, setup: UserNamespaceSetup): void {
  const byte = new Uint8Array(1);
  builder.add({
    label: "Wait until the IDs of the user namespace are mapped",
    group,
    syscall: "read",
    args: [setup.waitDescriptor, byte, byte.length],
  });
  addRootOfNamespace(builder, setup.denySetgroups === true);
}

/**
 * Becomes root of the user namespace that the process is in: of one that was joined, too.
 * @param denySetgroups what /proc/PID/setgroups says of a process in it is "deny"
 */
export function addRootOfNamespace(builder: PlanBuilder, denySetgroups = false): void {
  // While the process may still give them up; what is not mapped would stay.
  if (!denySetgroups) {
    builder.add({ label: "Leave the host's groups", group, syscall: "setgroups", args: [0, 0] });
  }
  builder.add({ label: "Become the namespace's group 0", group, syscall: "setresgid", args: [0, 0, 0] });
  builder.add({ label: "Become the namespace's root", group, syscall: "setresuid", args: [0, 0, 0] });
}

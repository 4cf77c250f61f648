import type { Linux } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { PlanBuilder } from "./builder.ts";
import { maskOfList } from "./number-list.ts";

/** How many nodes a mode is for. set_mempolicy(2) */
type NodesOfMode = "none" | "some" | "any";

/** linux/mempolicy.h. Which of them a kernel has it says itself: MPOL_WEIGHTED_INTERLEAVE is of Linux 6.9. */
const modes: Readonly<Record<string, readonly [number: number, nodes: NodesOfMode]>> = {
  MPOL_DEFAULT: [0, "none"],
  MPOL_PREFERRED: [1, "any"],
  MPOL_BIND: [2, "some"],
  MPOL_INTERLEAVE: [3, "some"],
  MPOL_LOCAL: [4, "none"],
  MPOL_PREFERRED_MANY: [5, "some"],
  MPOL_WEIGHTED_INTERLEAVE: [6, "some"],
};

const flagBits: Readonly<Record<string, number>> = {
  MPOL_F_NUMA_BALANCING: 1 << 13,
  MPOL_F_RELATIVE_NODES: 1 << 14,
  MPOL_F_STATIC_NODES: 1 << 15,
};
const bothKindsOfNodes = (1 << 14) | (1 << 15);

export const memoryPolicyModes: readonly string[] = Object.keys(modes);
export const memoryPolicyFlags: readonly string[] = Object.keys(flagBits);

/** CONFIG_NODES_SHIFT is 10 at most, on x86-64 and arm64. */
const nodes = { name: "node", most: 1024 };

/**
 * `linux.memoryPolicy`: from which memory nodes the process gets its memory. After the process has joined its cgroup,
 * whose nodes the kernel takes the policy's for; what runs a program keeps it. set_mempolicy(2)
 * @throws InvalidDocumentError in runc's words, which its callers look for
 */
export function addMemoryPolicy(builder: PlanBuilder, policy: Linux["memoryPolicy"]): void {
  if (policy === undefined) return;
  const { mode: name = "", flags = [] } = policy;
  const property = "linux.memoryPolicy";
  const mode = Object.hasOwn(modes, name) ? modes[name] : undefined;
  if (mode === undefined) {
    throw new InvalidDocumentError(`${property}.mode: invalid memory policy mode ${JSON.stringify(name)}`, {
      hint: memoryPolicyModes.join(", "),
    });
  }
  let bits = mode[0];
  for (const [index, flag] of flags.entries()) {
    if (!Object.hasOwn(flagBits, flag)) {
      throw new InvalidDocumentError(
        `${property}.flags[${index}]: invalid memory policy flag ${JSON.stringify(flag)}`,
        {
          hint: memoryPolicyFlags.join(", "),
        },
      );
    }
    bits |= flagBits[flag] as number;
  }
  if ((bits & bothKindsOfNodes) === bothKindsOfNodes) {
    throw new InvalidDocumentError(`${property}.flags: nodes are either relative or static`);
  }
  const mask = nodesOf(policy.nodes, `${property}.nodes`, name, mode[1]);
  builder.add({
    label: `Get memory by ${[name, ...flags].join(" and ")}${mask.length === 0 ? "" : ` from the nodes ${policy.nodes}`}`,
    group: "process",
    syscall: "set_mempolicy",
    // The kernel takes one off the number of bits. get_nodes() in mm/mempolicy.c
    args: mask.length === 0 ? [bits, 0, 0] : [bits, mask, mask.length * 8 + 1],
  });
}

function nodesOf(list: string | undefined, property: string, mode: string, wanted: NodesOfMode): Uint8Array {
  if (list === undefined || list === "") {
    if (wanted !== "some") return new Uint8Array(0);
    throw new InvalidDocumentError(`${property}: the ${mode} mode requires at least one node but got 0`);
  }
  const mask = maskOfList(list, `${property}: invalid memory policy nodes`, nodes);
  if (wanted !== "none") return mask;
  const count = mask.reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
  throw new InvalidDocumentError(`${property}: the ${mode} mode requires 0 nodes but got ${count}`);
}

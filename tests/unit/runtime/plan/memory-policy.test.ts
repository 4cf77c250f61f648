import { describe, expect, test } from "bun:test";
import { CLONE_NEWNS } from "../../../../src/linux/constants.ts";
import type { Linux } from "../../../../src/oci/runtime-spec.ts";
import { runtimeFeatures } from "../../../../src/runtime/features.ts";
import { PlanBuilder } from "../../../../src/runtime/plan/builder.ts";
import { buildExecPlan } from "../../../../src/runtime/plan/exec-plan.ts";
import { addMemoryPolicy } from "../../../../src/runtime/plan/memory-policy.ts";
import { InvalidDocumentError } from "../../../../src/util/errors.ts";
import { runPlan, shellSteps } from "../../../helpers/launched-plan.ts";
import { minimalSpec, planOf, someFilter } from "../../../helpers/plan.ts";

type Policy = NonNullable<Linux["memoryPolicy"]>;

function stepsOf(policy: Policy | undefined) {
  const builder = new PlanBuilder();
  addMemoryPolicy(builder, policy);
  return builder.steps;
}

function callOf(policy: Policy) {
  const [step, ...more] = stepsOf(policy);
  expect([step?.syscall, more.length]).toEqual(["set_mempolicy", 0]);
  return step?.args.map((argument) =>
    argument instanceof Uint8Array ? Buffer.from(argument).toString("hex") : argument,
  );
}

const oneNode = "0100000000000000";

test.each<[Policy, readonly (number | string)[]]>([
  [{ mode: "MPOL_DEFAULT" }, [0, 0, 0]],
  [{ mode: "MPOL_DEFAULT", nodes: "", flags: [] }, [0, 0, 0]],
  [{ mode: "MPOL_PREFERRED" }, [1, 0, 0]],
  [{ mode: "MPOL_PREFERRED", nodes: "0", flags: ["MPOL_F_RELATIVE_NODES"] }, [0x4001, oneNode, 65]],
  [{ mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES", "MPOL_F_NUMA_BALANCING"] }, [0xa002, oneNode, 65]],
  [{ mode: "MPOL_INTERLEAVE", nodes: "2-3, 8" }, [3, "0c01000000000000", 65]],
  [{ mode: "MPOL_LOCAL" }, [4, 0, 0]],
  [{ mode: "MPOL_PREFERRED_MANY", nodes: "64" }, [5, `${"0".repeat(16)}${oneNode}`, 129]],
  [{ mode: "MPOL_WEIGHTED_INTERLEAVE", nodes: "1023" }, [6, `${"0".repeat(254)}80`, 1025]],
])("%j", (policy, call) => {
  expect(callOf(policy)).toEqual([...call]);
});

test("none is none", () => {
  expect(stepsOf(undefined)).toEqual([]);
});

test.each<[Policy, string]>([
  [{}, 'mode: invalid memory policy mode ""'],
  [{ nodes: "0-7" }, 'mode: invalid memory policy mode ""'],
  [{ mode: "INTERLEAVE", nodes: "0" }, 'mode: invalid memory policy mode "INTERLEAVE"'],
  [{ mode: "constructor" }, 'mode: invalid memory policy mode "constructor"'],
  [
    { mode: "MPOL_PREFERRED", nodes: "0", flags: ["MPOL_F_RELATIVE_NODES", "badflag"] },
    'flags[1]: invalid memory policy flag "badflag"',
  ],
  [
    { mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"] },
    "flags: nodes are either relative or static",
  ],
  [{ mode: "MPOL_DEFAULT", nodes: "0-7" }, "nodes: the MPOL_DEFAULT mode requires 0 nodes but got 8"],
  [{ mode: "MPOL_LOCAL", nodes: "5" }, "nodes: the MPOL_LOCAL mode requires 0 nodes but got 1"],
  [{ mode: "MPOL_BIND" }, "nodes: the MPOL_BIND mode requires at least one node but got 0"],
  [
    { mode: "MPOL_BIND", nodes: "0-9876543210", flags: [] },
    "nodes: invalid memory policy nodes: there is no node 9876543210, the last is 1023",
  ],
  [{ mode: "MPOL_BIND", nodes: "a" }, "nodes: invalid memory policy nodes: a is no node or range of nodes"],
])("%j is refused", (policy, message) => {
  expect(() => stepsOf(policy)).toThrow(InvalidDocumentError);
  expect(() => stepsOf(policy)).toThrow(`linux.memoryPolicy.${message}`);
});

describe("in a plan", () => {
  const memoryPolicy = { mode: "MPOL_INTERLEAVE", nodes: "0" };

  test("it comes before the filter, for a container's first process and for others", () => {
    const linux: Linux = { namespaces: [{ type: "mount" }], memoryPolicy };
    const created = planOf(minimalSpec({ linux }), { seccomp: someFilter }).steps;
    const entered = buildExecPlan({
      id: "c0ffee",
      process: { cwd: "/", args: ["/bin/true"], user: { uid: 0, gid: 0 } },
      target: { pidfd: 20, root: 21, namespaces: CLONE_NEWNS },
      joinCgroup: [],
      seccomp: someFilter,
      lastCapability: 40,
      hardLimit: () => 1_048_576n,
      nullStdio: [],
      newKeyring: true,
      preservedDescriptors: 0,
      memoryPolicy,
      lsm: () => ({ apparmor: false, selinux: false }),
    });
    for (const steps of [created, entered]) {
      const calls = steps.map(({ syscall }) => syscall);
      expect(calls.filter((call) => call === "set_mempolicy")).toHaveLength(1);
      expect(calls.indexOf("set_mempolicy")).toBeLessThan(calls.indexOf("seccomp"));
    }
  });

  test("the program has it", async () => {
    const script = "read line < /proc/self/numa_maps && echo $line";
    const told = async (policy: Policy) => {
      const { stdout, outcome } = await runPlan({ steps: [...stepsOf(policy), ...shellSteps(script)] });
      expect(outcome).toEqual({ reported: [] });
      return stdout.split(" ")[1];
    };
    if (!(await Bun.file("/proc/self/numa_maps").exists())) return console.warn("skipped: a kernel without NUMA");
    expect(await told(memoryPolicy)).toBe("interleave:0");
    expect(await told({ mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"] })).toBe("bind=static:0");
    expect(await told({ mode: "MPOL_DEFAULT" })).toBe("default");
  });
});

test("features tells of it", () => {
  expect(runtimeFeatures().linux.memoryPolicy).toEqual({
    modes: [
      "MPOL_DEFAULT",
      "MPOL_PREFERRED",
      "MPOL_BIND",
      "MPOL_INTERLEAVE",
      "MPOL_LOCAL",
      "MPOL_PREFERRED_MANY",
      "MPOL_WEIGHTED_INTERLEAVE",
    ],
    flags: ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"],
  });
});

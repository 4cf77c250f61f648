import { expect, test } from "bun:test";
import { CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID } from "../../../../src/linux/constants.ts";
import type { Namespace } from "../../../../src/oci/runtime-spec.ts";
import { PlanBuilder } from "../../../../src/runtime/plan/builder.ts";
import { addNamespaces } from "../../../../src/runtime/plan/namespaces.ts";
import { minimalSpec, planOf } from "../../../helpers/plan.ts";

function planned(namespaces: readonly Namespace[]) {
  const builder = new PlanBuilder();
  const result = addNamespaces(builder, namespaces);
  return { ...result, labels: builder.steps.map(({ label }) => label), steps: builder.steps };
}

test("new namespaces come with the process, that of cgroups later", () => {
  expect(planned([{ type: "mount" }, { type: "pid" }, { type: "cgroup" }])).toMatchObject({
    flags: CLONE_NEWNS | CLONE_NEWPID,
    tellsChild: false,
    labels: ["See the container's cgroup as the root of all"],
  });
});

test("others are joined by their paths, that of mounts last, and an empty path is none", () => {
  const { flags, tellsChild, labels } = planned([
    { type: "mount", path: "/m" },
    { type: "network", path: "" },
    { type: "uts", path: "/u" },
    { type: "ipc", path: "/i" },
  ]);
  expect({ flags, tellsChild }).toEqual({ flags: CLONE_NEWNET, tellsChild: false });
  expect(labels.filter((label) => label.startsWith("Join"))).toEqual([
    "Join the ipc namespace of linux.namespaces[3].path",
    "Join the uts namespace of linux.namespaces[2].path",
    "Join the mount namespace of linux.namespaces[0].path",
  ]);
});

test("in a pid namespace that is joined the plan goes on in a child, which dies with gocker too", () => {
  const namespaces: Namespace[] = [{ type: "mount" }, { type: "pid", path: "/proc/7/ns/pid" }];
  expect(planned(namespaces).steps.at(-1)).toMatchObject({ syscall: "clone", onSuccess: { parent: "tells" } });
  const plan = planOf(minimalSpec({ linux: { namespaces } }), { diesWithParent: true });
  expect(plan.tellsChild).toBe(true);
  const clone = plan.steps.findIndex(({ syscall }) => syscall === "clone");
  expect(plan.steps[clone + 1]?.label).toBe("Die when gocker dies, while being set up");
});

import { describe, expect, test } from "bun:test";
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

describe("a time namespace", () => {
  const labels = (namespaces: readonly Namespace[], offsets: Parameters<typeof addNamespaces>[2]) => {
    const builder = new PlanBuilder();
    expect(addNamespaces(builder, namespaces, offsets).flags).toBe(CLONE_NEWNS);
    return builder.steps.map(({ label }) => label);
  };
  const fresh: Namespace[] = [{ type: "mount" }, { type: "time" }];

  test("gets its offsets before it is entered", () => {
    expect(labels(fresh, { monotonic: { secs: 5 }, boottime: { secs: -7, nanosecs: 8 } })).toEqual([
      "Make a time namespace",
      "Open the offsets of its clocks",
      "Set them: monotonic 5 0, boottime -7 8",
      "Open the time namespace",
      "Enter it",
    ]);
    expect(labels(fresh, {})).not.toContain("Open the offsets of its clocks");
  });

  test("offsets that nobody has are refused", () => {
    const refused = (namespaces: readonly Namespace[], offsets: object) => () =>
      addNamespaces(new PlanBuilder(), namespaces, offsets as Parameters<typeof addNamespaces>[2]);
    const offsets = { monotonic: { secs: 5 } };
    expect(refused([{ type: "mount" }], offsets)).toThrow("linux.timeOffsets: only a time namespace has offsets");
    const joined: Namespace[] = [{ type: "mount" }, { type: "time", path: "/t" }];
    expect(refused(joined, offsets)).toThrow("linux.timeOffsets: the offsets of a namespace that is joined");
    expect(refused(fresh, { realtime: { secs: 1 } })).toThrow(
      "linux.timeOffsets.realtime: no clock that can be offset",
    );
    expect(refused(fresh, { boottime: { nanosecs: -1 } })).toThrow("linux.timeOffsets.boottime.nanosecs: -1");
  });
});

import { describe, expect, test } from "bun:test";
import type { Linux, Namespace } from "../../../../src/oci/runtime-spec.ts";
import type { LaunchPlanInput } from "../../../../src/runtime/plan/launch-plan.ts";
import { allCapabilitySets, minimalSpec, planOf, someFacts } from "../../../helpers/plan.ts";

const namespaces: Namespace[] = (["user", "mount", "pid"] as const).map((type) => ({ type }));
const facts = { ...someFacts, mayTrace: () => false };
const ofUser: Partial<LaunchPlanInput> = {
  rights: { isRoot: false, makesDevices: false },
  setgroupsDenied: true,
  userNamespace: 20,
  facts,
};

function labels(linux: Linux = {}, change: Partial<LaunchPlanInput> = {}): string[] {
  const spec = minimalSpec(
    {
      linux: { namespaces, maskedPaths: ["/proc/keys"], ...linux },
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/dev", type: "tmpfs", source: "tmpfs" },
      ],
    },
    { capabilities: allCapabilitySets(), rlimits: [{ type: "RLIMIT_NOFILE", soft: 5e6, hard: 5e6 }] },
  );
  return planOf(spec, { ...ofUser, ...change }).steps.map(({ label }) => label);
}

describe("without root", () => {
  const steps = labels();
  const at = (label: string) => {
    const index = steps.indexOf(label);
    if (index < 0) throw new Error(`there is no step ${JSON.stringify(label)}`);
    return index;
  };

  test("the user namespace comes before all that takes rights", () => {
    const entered = at("Become the namespace's root");
    expect(at("Enter the user namespace that was made")).toBeLessThan(entered);
    expect(entered).toBeLessThan(8);
    expect(at("Make a child, which is in the container's namespaces")).toBeGreaterThan(entered);
    expect(at("Take /bundle/rootfs as the root directory")).toBeGreaterThan(entered);
    expect(steps).not.toContain("Begin with mounts of its own");
    expect(steps.filter((label) => label.startsWith("Let nofile"))).toEqual([]);
  });

  test("nobody sets groups", () => {
    expect(steps.filter((label) => /\bgroups?\b/.test(label))).toEqual([
      "Become the namespace's group 0",
      "Become group 0",
    ]);
    const allowed = labels({}, { setgroupsDenied: false });
    expect(allowed).toContain("Leave the host's groups");
    expect(allowed).toContain("Set the supplementary groups (none)");
  });

  test("device nodes are the host's, for masks too, taken before its root is left", () => {
    expect(steps.filter((label) => label.startsWith("Make the device"))).toEqual([]);
    expect(at("Take the host's /dev/null")).toBeLessThan(at("Let go of the host's files"));
    expect(steps.filter((label) => label.startsWith("Take the host's /dev/null"))).toHaveLength(2);
    expect(steps).toContain("Mount the host's at /dev/null");
    expect(steps).toContain("Mount the host's null device among them");
  });

  test("its maker can look into the process while it waits, where nobody else can", () => {
    const waiting = { startFifo: 30 };
    const visible = "Let its maker look into this process";
    expect(labels({}, waiting).filter((label) => label === visible)).toHaveLength(2);
    const joined = namespaces.map((one) => (one.type === "pid" ? { ...one, path: "/proc/7/ns/pid" } : one));
    const hidden = labels({ namespaces: joined }, waiting);
    expect(hidden).not.toContain(visible);
    const join = hidden.findIndex((label) => label.startsWith("Join the pid namespace"));
    expect(hidden.indexOf("Let nobody look into this process")).toBeLessThan(join);
  });

  test("clocks are offset by the root of the user namespace", () => {
    const timed = labels({ namespaces: [...namespaces, { type: "time" }] });
    const made = timed.indexOf("Make a time namespace");
    expect(made).toBeGreaterThan(timed.indexOf("Become the namespace's root"));
    expect(made).toBeLessThan(timed.indexOf("Make a child, which is in the container's namespaces"));
  });

  test("pipes are given to another user of the namespace", () => {
    const spec = minimalSpec({ linux: { namespaces } }, { user: { uid: 5, gid: 5 } });
    const given = planOf(spec, { ...ofUser, givenStdio: [1] }).steps.find(({ syscall }) => syscall === "fchown");
    expect(given).toMatchObject({ args: [1, 5, 0xffff_ffff], onError: { tolerate: ["EPERM", "EINVAL"] } });
  });
});

test("root of a user namespace makes no devices, and is not bound to make another namespace", () => {
  const nested = labels(
    { namespaces: [{ type: "mount" }, { type: "pid" }] },
    { rights: { isRoot: true, makesDevices: false }, nullStdio: [0] },
  );
  expect(nested.filter((label) => /^(?:Make the device|Become the namespace|Connect descriptor)/.test(label))).toEqual(
    [],
  );
  expect(nested).toContain("Mount the host's at /dev/zero");
});

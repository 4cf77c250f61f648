import { describe, expect, test } from "bun:test";
import { showCall } from "../../../../src/cli/explain/arguments.ts";
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
} from "../../../../src/linux/constants.ts";
import type { NamespaceFile } from "../../../../src/linux/namespace.ts";
import type { Namespace, NamespaceType } from "../../../../src/oci/runtime-spec.ts";
import { PlanBuilder } from "../../../../src/runtime/plan/builder.ts";
import { addNamespaces, type NamespaceDescriptor, planNamespaces } from "../../../../src/runtime/plan/namespaces.ts";
import { minimalSpec, planOf } from "../../../helpers/plan.ts";

function planned(namespaces: readonly Namespace[]) {
  const builder = new PlanBuilder();
  const result = planNamespaces(namespaces);
  addNamespaces(builder, result);
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

describe("namespaces that are open", () => {
  const opened = new Map<NamespaceType, NamespaceDescriptor>([
    ["network", { descriptor: 20, whose: "container web", isOwn: false }],
    ["ipc", { descriptor: 21, whose: "container web", isOwn: true }],
    ["pid", { descriptor: 22, whose: "container web", isOwn: false }],
  ]);
  const namespaces: Namespace[] = [
    { type: "mount" },
    { type: "network", path: "container:web" },
    { type: "ipc", path: "container:web" },
    { type: "pid", path: "container:web" },
    { type: "uts" },
  ];

  test("are joined by their descriptors, unless gocker is in them, and closed", () => {
    const builder = new PlanBuilder();
    const result = planNamespaces(namespaces, { opened });
    addNamespaces(builder, result);
    expect(result.own).toEqual(new Set<NamespaceType>(["mount", "network", "pid", "uts"]));
    expect(builder.steps.map(({ syscall, args }) => [syscall, args[0]])).toEqual([
      ["setns", 20],
      ["setns", 22],
      ["close", 20],
      ["close", 22],
      ["clone", expect.anything()],
    ]);
    expect(builder.steps[0]?.label).toBe("Join the network namespace of container web");
    expect(result.tellsChild).toBe(true);
  });

  test("need no child when who makes the process has entered the pid namespace", () => {
    const builder = new PlanBuilder();
    const result = planNamespaces(namespaces, { opened, isBornInPidNamespace: true });
    addNamespaces(builder, result);
    expect(result.tellsChild).toBe(false);
    expect(result.own.has("pid")).toBe(true);
    expect(builder.steps.map(({ syscall }) => syscall)).toEqual(["setns", "close"]);
  });

  test("and were made for the container are joined in place of new ones, and of no others", () => {
    const made = new Map<NamespaceType, NamespaceDescriptor>([["network", { descriptor: 20, isNew: true }]]);
    const joinsOf = (network: Namespace, one: ReadonlyMap<NamespaceType, NamespaceDescriptor>) => {
      const { flags, joins, own } = planNamespaces([{ type: "mount" }, network], { opened: one });
      return { flags, at: joins.map(({ at }) => at), isOwn: own.has("network") };
    };
    const joined = { flags: CLONE_NEWNS, at: [{ descriptor: 20, isNew: true }], isOwn: true };
    expect(joinsOf({ type: "network" }, made)).toEqual(joined);
    expect(joinsOf({ type: "network", path: "" }, made)).toEqual(joined);
    // What was opened in place of a path is nothing new.
    expect(joinsOf({ type: "network" }, opened)).toEqual({ flags: CLONE_NEWNS | CLONE_NEWNET, at: [], isOwn: true });
    expect(joinsOf({ type: "network", path: "/n" }, made).at).toEqual([
      { path: "/n", property: "linux.namespaces[1].path" },
    ]);
  });

  test("and were made for a container with its own users are joined before it is one of these", () => {
    const made = new Map<NamespaceType, NamespaceDescriptor>([["network", { descriptor: 20, isNew: true }]]);
    const builder = new PlanBuilder();
    const result = planNamespaces([{ type: "user" }, { type: "network" }, { type: "mount" }], {
      opened: made,
      userNamespace: 30,
    });
    addNamespaces(builder, result);
    const joins = builder.steps.filter(({ syscall }) => syscall === "setns").map(({ args }) => args[0]);
    expect(joins.slice(0, 2)).toEqual([20, 30]);
  });

  test("a reference that nobody has opened is no path", () => {
    expect(() => planNamespaces(namespaces, { namespaceAt: () => undefined })).toThrow(
      "linux.namespaces[1].path: container:web is not absolute",
    );
  });
});

describe("a time namespace", () => {
  const labels = (namespaces: readonly Namespace[], offsets: Parameters<typeof addNamespaces>[2]) => {
    const builder = new PlanBuilder();
    const plan = planNamespaces(namespaces);
    expect(plan.flags).toBe(CLONE_NEWNS);
    addNamespaces(builder, plan, offsets);
    return builder.steps.map(({ label }) => label);
  };
  const fresh: Namespace[] = [{ type: "mount" }, { type: "time" }];

  test("gets its offsets before it is entered", () => {
    expect(labels(fresh, { monotonic: { secs: 5 }, boottime: { secs: -7, nanosecs: 8 } })).toEqual([
      "Make a time namespace",
      "Open the offsets of its clocks",
      "Set them: monotonic 5 0, boottime -7 8",
      "Close them",
      "Open the time namespace",
      "Enter it",
      "Close the time namespace",
    ]);
    expect(labels(fresh, {})).not.toContain("Open the offsets of its clocks");
  });

  test("offsets that nobody has are refused", () => {
    const refused = (namespaces: readonly Namespace[], offsets: object) => () =>
      addNamespaces(new PlanBuilder(), planNamespaces(namespaces), offsets as Parameters<typeof addNamespaces>[2]);
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

/** Namespaces at /ns/TYPE, gocker's own at /own/TYPE. */
const flags: Record<string, number> = {
  user: CLONE_NEWUSER,
  pid: CLONE_NEWPID,
  network: CLONE_NEWNET,
  mount: CLONE_NEWNS,
  ipc: CLONE_NEWIPC,
  uts: CLONE_NEWUTS,
};
const facts = {
  namespaceAt(path: string): NamespaceFile | "missing" | undefined {
    const [, directory, type = ""] = path.split("/");
    if (directory !== "ns" && directory !== "own") return directory === "etc" ? undefined : "missing";
    return { type: flags[type] ?? 0, isOwn: directory === "own" };
  },
};

function newOnes(...types: NamespaceType[]): Namespace[] {
  return types.map((type) => ({ type }));
}

function joinedOnes(...types: NamespaceType[]): Namespace[] {
  return types.map((type) => ({ type, path: `/ns/${type}` }));
}

describe("a plan of namespaces", () => {
  test("makes new ones with the process, but those that hang on what it does first", () => {
    expect(planNamespaces(newOnes("pid", "mount", "cgroup", "time"), facts)).toEqual({
      flags: CLONE_NEWPID | CLONE_NEWNS,
      joins: [],
      flagsOfRoot: 0,
      made: CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWTIME,
      tellsChild: false,
      own: new Set<NamespaceType>(["pid", "mount", "cgroup", "time"]),
    });
  });

  test("joins others without a further process, unless it is a pid namespace", () => {
    const plan = planNamespaces([...newOnes("mount"), ...joinedOnes("network")], facts);
    expect(plan).toMatchObject({ flags: CLONE_NEWNS, tellsChild: false });
    const at = { path: "/ns/network", property: "linux.namespaces[1].path" };
    expect(plan.joins).toEqual([{ type: "network", at }]);
    expect(planNamespaces(joinedOnes("pid", "mount"), facts)).toMatchObject({ flags: 0, tellsChild: true });
  });

  test("leaves gocker's own as they are", () => {
    const list: Namespace[] = [
      { type: "user", path: "/own/user" },
      { type: "pid", path: "/own/pid" },
      { type: "mount", path: "" },
    ];
    expect(planNamespaces(list, facts)).toMatchObject({
      flags: CLONE_NEWNS,
      joins: [],
      tellsChild: false,
      own: new Set(["mount"]),
    });
  });

  test.each<[Namespace[], string]>([
    [newOnes("pid", "pid"), "linux.namespaces: pid is given twice"],
    [[{ type: "weather" as NamespaceType }], "linux.namespaces[0].type: unknown type weather"],
    [[{ type: "ipc", path: "ns/ipc" }], "linux.namespaces[0].path: ns/ipc is not absolute"],
    [[{ type: "ipc", path: "/gone" }], "linux.namespaces[0].path: /gone does not exist"],
    [[{ type: "ipc", path: "/etc/hosts" }], "linux.namespaces[0].path: /etc/hosts is no namespace"],
    [
      [...newOnes("uts"), { type: "ipc", path: "/ns/mount" }],
      "linux.namespaces[1].path: /ns/mount is a namespace of the type mount, not ipc",
    ],
  ])("refuses %j", (list, message) => {
    expect(() => planNamespaces(list, facts)).toThrow(message);
  });

  test("makes all others behind a user namespace, which is made before", () => {
    const list = newOnes("user", "mount", "pid", "cgroup");
    expect(planNamespaces(list, { ...facts, userNamespace: 9 })).toEqual({
      flags: 0,
      joins: [{ type: "user", at: { descriptor: 9 } }],
      flagsOfRoot: CLONE_NEWPID | CLONE_NEWNS,
      made: CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWCGROUP,
      tellsChild: true,
      own: new Set<NamespaceType>(["user", "mount", "pid", "cgroup"]),
    });
    const without = planNamespaces([...joinedOnes("user"), ...newOnes("mount")], facts);
    expect(without).toMatchObject({ flags: 0, flagsOfRoot: CLONE_NEWNS, tellsChild: false });
    expect(() => planNamespaces(list, facts)).toThrow(RangeError);
  });
});

function stepsOf(list: Namespace[]): string[] {
  const builder = new PlanBuilder();
  addNamespaces(builder, planNamespaces(list, { ...facts, userNamespace: 9 }));
  return builder.steps.map(showCall);
}

describe("the steps", () => {
  test("are none where all comes with the process", () => {
    expect(stepsOf(newOnes("mount", "pid"))).toEqual([]);
  });

  test("open all before the first is joined, and leave none open", () => {
    expect(stepsOf(joinedOnes("mount", "network"))).toEqual([
      'openat(AT_FDCWD, "/ns/network", O_RDONLY|O_CLOEXEC) → network namespace',
      'openat(AT_FDCWD, "/ns/mount", O_RDONLY|O_CLOEXEC) → mount namespace',
      "setns(‹network namespace›, CLONE_NEWNET)",
      "setns(‹mount namespace›, CLONE_NEWNS)",
      "close(‹network namespace›)",
      "close(‹mount namespace›)",
    ]);
  });

  test("become the root of a user namespace before they make what is to be its own", () => {
    expect(stepsOf([...newOnes("user", "mount", "pid", "cgroup", "ipc"), ...joinedOnes("network")])).toEqual([
      'openat(AT_FDCWD, "/ns/network", O_RDONLY|O_CLOEXEC) → network namespace',
      "setns(‹network namespace›, CLONE_NEWNET)",
      "close(‹network namespace›)",
      "setns(9, CLONE_NEWUSER)",
      "setns(‹network namespace›, CLONE_NEWNET)",
      "close(9)",
      "close(‹network namespace›)",
      "setgroups(0, 0)",
      "setresgid(0, 0, 0)",
      "setresuid(0, 0, 0)",
      "clone(SIGCHLD|CLONE_NEWNS|CLONE_NEWPID|CLONE_NEWIPC|CLONE_PARENT)",
      "unshare(CLONE_NEWCGROUP)",
    ]);
  });
});

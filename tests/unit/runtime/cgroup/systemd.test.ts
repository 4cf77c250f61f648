import { expect, test } from "bun:test";
import { CgroupError } from "../../../../src/runtime/cgroup/errors.ts";
import { SystemdManager, scopeProperties } from "../../../../src/runtime/cgroup/systemd.ts";
import { parseSystemdCgroupsPath } from "../../../../src/runtime/cgroup/systemd-path.ts";
import { fakeSystemd as systemd, job, noSuchUnit as missing } from "../../../helpers/fake-systemd.ts";

test.each(["signals", "later"] as const)("a scope is made, and waited for: %s", async (when) => {
  using server = systemd({ StartTransientUnit: job("done", when) });
  using manager = await SystemdManager.connect({ direct: server.path });
  const path = parseSystemdCgroupsPath("machine.slice:gocker:1", "1");
  await manager.startTransientUnit(path.unit, scopeProperties(path, { description: "container 1", pid: 42 }));
  const [call] = server.calls;
  expect(call).toMatchObject({ path: "/org/freedesktop/systemd1", signature: "ssa(sv)a(sa(sv))" });
  expect(call?.destination).toBeUndefined();
  const yes = { signature: "b", value: true };
  expect(call?.body).toEqual([
    "gocker-1.scope",
    "replace",
    [
      ["Description", { signature: "s", value: "container 1" }],
      ["Slice", { signature: "s", value: "machine.slice" }],
      ["Delegate", yes],
      ["PIDs", { signature: "au", value: [42] }],
      ["MemoryAccounting", yes],
      ["CPUAccounting", yes],
      ["IOAccounting", yes],
      ["TasksAccounting", yes],
      ["DefaultDependencies", { signature: "b", value: false }],
    ],
    [],
  ]);
});

test("on the bus it has a name, and asks for the signals", async () => {
  using server = systemd({
    Hello: { signature: "s", body: [":1.5"] },
    AddMatch: {},
    Subscribe: {},
    StopUnit: job("done"),
    ResetFailedUnit: missing,
  });
  using manager = await SystemdManager.connect({ direct: "/nonexistent/socket", bus: server.path });
  await manager.stopUnit("a.scope");
  expect(server.calls.map(({ destination, member }) => `${destination} ${member}`)).toEqual([
    "org.freedesktop.DBus Hello",
    "org.freedesktop.DBus AddMatch",
    "org.freedesktop.systemd1 Subscribe",
    "org.freedesktop.systemd1 StopUnit",
    "org.freedesktop.systemd1 ResetFailedUnit",
  ]);
});

test("a unit that has failed is forgotten, and made anew", async () => {
  const exists = { errorName: "org.freedesktop.systemd1.UnitExists", signature: "s", body: ["exists"] };
  using server = systemd({ StartTransientUnit: [exists, job("done")], ResetFailedUnit: {} });
  using manager = await SystemdManager.connect({ direct: server.path });
  await manager.startTransientUnit("a.scope", []);
  expect(server.calls.map(({ member }) => member)).toEqual([
    "StartTransientUnit",
    "ResetFailedUnit",
    "StartTransientUnit",
  ]);
});

test("a unit that runs already is refused", async () => {
  const exists = { errorName: "org.freedesktop.systemd1.UnitExists", signature: "s", body: ["exists"] };
  using server = systemd({ StartTransientUnit: exists, ResetFailedUnit: missing });
  using manager = await SystemdManager.connect({ direct: server.path });
  const failure = manager.startTransientUnit("a.scope", []);
  await expect(failure).rejects.toThrow(CgroupError);
  await expect(failure).rejects.toThrow("systemd refuses to start a.scope: exists");
});

test("a job that fails", async () => {
  using server = systemd({ StartTransientUnit: job("failed") });
  using manager = await SystemdManager.connect({ direct: server.path });
  await expect(manager.startTransientUnit("a.scope", [])).rejects.toThrow("could not start the unit a.scope: failed");
});

test("stopping what is not there is no error", async () => {
  using server = systemd({ StopUnit: missing, ResetFailedUnit: missing });
  using manager = await SystemdManager.connect({ direct: server.path });
  await manager.stopUnit("a.scope");
  expect(server.calls).toHaveLength(2);
});

test("limits change until the unit ends", async () => {
  using server = systemd({ SetUnitProperties: {} });
  using manager = await SystemdManager.connect({ direct: server.path });
  await manager.setUnitProperties("a.scope", [["TasksMax", { signature: "t", value: 5n }]]);
  expect(server.calls[0]?.body).toEqual(["a.scope", true, [["TasksMax", { signature: "t", value: 5n }]]]);
});

test("the version is a number", async () => {
  using server = systemd({ Get: { signature: "v", body: [{ signature: "s", value: "252.17-1~deb12u1" }] } });
  using manager = await SystemdManager.connect({ direct: server.path });
  expect(await manager.version()).toBe(252);
});

test("a host without systemd is told so", async () => {
  const failure = SystemdManager.connect({ direct: "/nonexistent/a", bus: "/nonexistent/b" });
  await expect(failure).rejects.toThrow(CgroupError);
  await expect(failure).rejects.toMatchObject({ hint: expect.stringContaining("--systemd-cgroup") });
});

test("a scope tells where its cgroup is", async () => {
  using server = systemd({
    GetUnit: { signature: "o", body: ["/unit/1"] },
    Get: { signature: "v", body: [{ signature: "s", value: "/a.slice/a-b.slice/c.scope" }] },
  });
  using manager = await SystemdManager.connect({ direct: server.path });
  expect(await manager.controlGroup("c.scope")).toBe("/a.slice/a-b.slice/c.scope");
  expect(server.calls[1]).toMatchObject({ path: "/unit/1", body: ["org.freedesktop.systemd1.Scope", "ControlGroup"] });
});

test.each([
  [{ GetUnit: missing }, "systemd refuses to tell the cgroup of c.scope: Unit a.scope not loaded."],
  [
    {
      GetUnit: { signature: "o", body: ["/unit/1"] },
      Get: { signature: "v", body: [{ signature: "s", value: "" }] },
    },
    "systemd's unit c.scope has no cgroup: it has ended already",
  ],
])("a scope that has ended has none %#", async (answers, message) => {
  using server = systemd(answers);
  using manager = await SystemdManager.connect({ direct: server.path });
  await expect(manager.controlGroup("c.scope")).rejects.toThrow(message);
});

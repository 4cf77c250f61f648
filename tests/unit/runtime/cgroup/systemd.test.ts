import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import type { DbusMessage } from "../../../../src/linux/dbus/message.ts";
import { CgroupError } from "../../../../src/runtime/cgroup/errors.ts";
import { readLimits } from "../../../../src/runtime/cgroup/limits/limits.ts";
import { systemdProperties } from "../../../../src/runtime/cgroup/limits/systemd.ts";
import { startScope } from "../../../../src/runtime/cgroup/scope.ts";
import { SystemdManager, unitProperties } from "../../../../src/runtime/cgroup/systemd.ts";
import { parseSystemdCgroupsPath } from "../../../../src/runtime/cgroup/systemd-path.ts";
import { type DbusAnswer, DbusServer } from "../../../helpers/dbus-server.ts";

const object = { path: "/org/freedesktop/systemd1", interface: "org.freedesktop.systemd1.Manager" };
const missing: DbusAnswer = {
  errorName: "org.freedesktop.systemd1.NoSuchUnit",
  signature: "s",
  body: ["Unit a.scope not loaded."],
};

function removed(result: string, path = "/job/1"): Omit<DbusMessage, "type" | "serial"> {
  return { ...object, member: "JobRemoved", signature: "uoss", body: [1, path, "a.scope", result] };
}

/** A job's answer, and the news of its end before or after it. */
function job(result: string, when: "signals" | "later" = "later"): DbusAnswer {
  return { signature: "o", body: ["/job/1"], [when]: [removed("done", "/job/0"), removed(result)] };
}

/** systemd with an answer for each method, or a list of one answer after the other. */
function systemd(answers: Record<string, DbusAnswer | DbusAnswer[]>): DbusServer {
  return new DbusServer(({ member = "" }) => {
    const answer = answers[member];
    return Array.isArray(answer) ? answer.shift() : answer;
  });
}

test.each(["signals", "later"] as const)("a scope is made, and waited for: %s", async (when) => {
  using server = systemd({ StartTransientUnit: job("done", when) });
  using manager = await SystemdManager.connect({ direct: server.path });
  const path = parseSystemdCgroupsPath("machine.slice:gocker:1");
  await manager.startTransientUnit(path.unit, unitProperties(path, { description: "container 1", pid: 42 }));
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

test("a slice wants the one above, and is not put into it", () => {
  const properties = unitProperties({ slice: "a.slice", unit: "a-b.slice" }, { description: "", pid: 1 });
  expect(properties).toContainEqual(["Wants", { signature: "as", value: ["a.slice"] }]);
  expect(properties.map(([name]) => name)).not.toContain("Slice");
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
  await manager.setUnitProperties("a.scope", systemdProperties(readLimits({ pids: { limit: 5 } })));
  expect(server.calls[0]?.body).toEqual(["a.scope", true, [["TasksMax", { signature: "t", value: 5n }]]]);
});

test("the version is a number", async () => {
  using server = systemd({ Get: { signature: "v", body: [{ signature: "s", value: "252.17-1~deb12u1" }] } });
  using manager = await SystemdManager.connect({ direct: server.path });
  expect(await manager.version()).toBe(252);
});

describe("a scope for a container that does not run yet", () => {
  const path = parseSystemdCgroupsPath("machine.slice:gocker:1");
  const options = { description: "container 1", limits: systemdProperties(readLimits({ pids: { limit: 5 } })) };
  const pidIn = (server: DbusServer): number => {
    const properties = server.calls[0]?.body[2] as [string, { value: number[] }][];
    return properties.find(([name]) => name === "PIDs")?.[1].value[0] ?? 0;
  };
  const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

  test("has a process that holds its place", async () => {
    using server = systemd({ StartTransientUnit: job("done") });
    using manager = await SystemdManager.connect({ direct: server.path });
    const holder = await startScope(manager, path, options);
    const pid = pidIn(server);
    expect(readFileSync(`/proc/${pid}/stat`, "utf8").split(" ")[3]).toBe(String(process.pid));
    expect(server.calls[0]?.body[2]).toContainEqual(["TasksMax", { signature: "t", value: 5n }]);
    holder[Symbol.dispose]();
    expect(isAlive(pid)).toBeFalse();
  });

  test("leaves no process when systemd refuses", async () => {
    using server = systemd({ StartTransientUnit: job("failed") });
    using manager = await SystemdManager.connect({ direct: server.path });
    await expect(startScope(manager, path, options)).rejects.toThrow(CgroupError);
    expect(pidIn(server)).toBeGreaterThan(0);
    expect(isAlive(pidIn(server))).toBeFalse();
  });
});

test("a host without systemd is told so", async () => {
  const failure = SystemdManager.connect({ direct: "/nonexistent/a", bus: "/nonexistent/b" });
  await expect(failure).rejects.toThrow(CgroupError);
  await expect(failure).rejects.toMatchObject({ hint: expect.stringContaining("--systemd-cgroup") });
});

test("limits as properties", () => {
  const limits = readLimits({
    pids: { limit: -1 },
    memory: { limit: 100, swap: 150, reservation: 50 },
    cpu: { shares: 1024, quota: 12345, period: 100000, cpus: "0-2,9", mems: "0" },
    hugepageLimits: [{ pageSize: "2MB", limit: 0 }],
    unified: { "memory.high": "90", "memory.max": "95", "io.max": "8:0 rbps=1" },
  });
  const infinity = 18446744073709551615n;
  const unsigned = (name: string, value: bigint) => [name, { signature: "t", value }];
  expect(systemdProperties(limits) as unknown[]).toEqual([
    unsigned("TasksMax", infinity),
    unsigned("MemorySwapMax", 50n),
    unsigned("MemoryMax", 95n),
    unsigned("MemoryLow", 50n),
    unsigned("CPUWeight", 100n),
    unsigned("CPUQuotaPerSecUSec", 130000n),
    unsigned("CPUQuotaPeriodUSec", 100000n),
    ["AllowedCPUs", { signature: "ay", value: [7, 2] }],
    ["AllowedMemoryNodes", { signature: "ay", value: [1] }],
    unsigned("MemoryHigh", 90n),
  ]);
  expect(systemdProperties(readLimits({ cpu: { quota: -1, idle: 1 } })) as unknown[]).toEqual([
    unsigned("CPUWeight", 0n),
    unsigned("CPUQuotaPerSecUSec", infinity),
  ]);
});

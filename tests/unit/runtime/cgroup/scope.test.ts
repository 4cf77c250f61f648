import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DbusMessage } from "../../../../src/linux/dbus/message.ts";
import type { Cgroup } from "../../../../src/runtime/cgroup/cgroup.ts";
import { CgroupError } from "../../../../src/runtime/cgroup/errors.ts";
import { openCgroup } from "../../../../src/runtime/cgroup/open.ts";
import { NewScope, type ScopeOptions, updateScope } from "../../../../src/runtime/cgroup/scope.ts";
import { SystemdManager } from "../../../../src/runtime/cgroup/systemd.ts";
import { parseSystemdCgroupsPath } from "../../../../src/runtime/cgroup/systemd-path.ts";
import type { DbusServer } from "../../../helpers/dbus-server.ts";
import { fakeSystemd, job } from "../../../helpers/fake-systemd.ts";

const place = parseSystemdCgroupsPath("machine.slice:gocker:1", "1");
const options: ScopeOptions = {
  description: "container 1",
  resources: { pids: { limit: 1 }, memory: { limit: 4096 } },
  deviceRules: [{ allow: true, access: "rwm" }],
  properties: [["CollectMode", { signature: "s", value: "inactive-or-failed" }]],
};

/** What stands for the unified hierarchy: files of a plain directory. */
let mountPoint: string;
const files = (): string => join(mountPoint, place.path);
const controller = (name: string): string => readFileSync(join(files(), name), "utf8");
const open = (path: string): Cgroup => openCgroup(path, { v1: [], v2: mountPoint });

function makeFiles(): void {
  mkdirSync(files(), { recursive: true });
  writeFileSync(join(files(), "cgroup.controllers"), "cpu cpuset io memory pids");
  for (const name of ["pids.max", "memory.max", "cpu.max"]) writeFileSync(join(files(), name), "");
}

beforeEach(() => void (mountPoint = mkdtempSync(join(tmpdir(), "gocker-scope-"))));
afterEach(() => rmSync(mountPoint, { recursive: true }));

const located = {
  GetUnit: { signature: "o", body: ["/unit/1"] },
  Get: { signature: "v", body: [{ signature: "s", value: place.path }] },
};

function propertiesIn(call: DbusMessage | undefined): [string, { value: unknown }][] {
  return call?.body[2] as [string, { value: unknown }][];
}

function pidIn(server: DbusServer): number {
  const properties = propertiesIn(server.calls.find(({ member }) => member === "StartTransientUnit"));
  const pids = properties.find(([name]) => name === "PIDs")?.[1].value as number[] | undefined;
  return pids?.[0] ?? 0;
}

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

describe("a scope for a container that does not run yet", () => {
  test("has a process that holds its place, which the container's takes", async () => {
    using server = fakeSystemd({
      ...located,
      StartTransientUnit: () => {
        makeFiles();
        return job("done");
      },
      SetUnitProperties: {},
    });
    using scope = await NewScope.make(await SystemdManager.connect({ direct: server.path }), place, options, open);
    const pid = pidIn(server);
    expect(readFileSync(`/proc/${pid}/stat`, "utf8").split(" ")[3]).toBe(String(process.pid));
    expect(propertiesIn(server.calls[0])).toEqual(
      expect.arrayContaining([
        ["Slice", { signature: "s", value: "machine.slice" }],
        ["MemoryMax", { signature: "t", value: 4096n }],
        options.properties[0],
      ]) as unknown as [string, { value: unknown }][],
    );
    expect(propertiesIn(server.calls[0]).map(([name]) => name)).not.toContain("TasksMax");
    expect({ unit: scope.unit, path: scope.cgroup.path }).toEqual({ unit: "gocker-1.scope", path: place.path });

    expect(await scope.limit()).toEqual([]);
    expect([controller("memory.max"), controller("pids.max")]).toEqual(["4096", ""]);

    expect(await scope.settle()).toEqual([]);
    expect(isAlive(pid)).toBeFalse();
    expect(controller("pids.max")).toBe("1");
    expect(server.calls.at(-1)?.body).toEqual(["gocker-1.scope", true, [["TasksMax", { signature: "t", value: 1n }]]]);
    const { length } = server.calls;
    expect(await scope.settle()).toEqual([]);
    expect(server.calls).toHaveLength(length);
  });

  test("is where systemd says that it is", async () => {
    using server = fakeSystemd({
      ...located,
      StartTransientUnit: () => {
        mkdirSync(join(mountPoint, "nested", place.path), { recursive: true });
        writeFileSync(join(mountPoint, "nested", place.path, "cgroup.controllers"), "cpu cpuset io memory pids");
        return job("done");
      },
      Get: { signature: "v", body: [{ signature: "s", value: `/nested${place.path}` }] },
    });
    using scope = await NewScope.make(await SystemdManager.connect({ direct: server.path }), place, options, open);
    expect(scope.cgroup.path).toBe(`/nested${place.path}`);
    expect(existsSync(files())).toBeFalse();
  });

  test.each([
    ["the job fails", { StartTransientUnit: job("failed") }],
    ["it has ended at once", { StartTransientUnit: job("done"), GetUnit: { errorName: "a.NoSuchUnit", body: [] } }],
  ])("leaves no process when %s", async (_, answers) => {
    using server = fakeSystemd({ ...located, ...answers });
    const making = NewScope.make(await SystemdManager.connect({ direct: server.path }), place, options, open);
    await expect(making).rejects.toThrow(CgroupError);
    expect(pidIn(server)).toBeGreaterThan(0);
    expect(isAlive(pidIn(server))).toBeFalse();
    expect(existsSync(files())).toBeFalse();
  });

  test("is not asked for with limits that are none", async () => {
    using server = fakeSystemd({});
    const wrong = { ...options, resources: { memory: { limit: "much" } } };
    const making = NewScope.make(await SystemdManager.connect({ direct: server.path }), place, wrong, open);
    await expect(making).rejects.toThrow("linux.resources.memory.limit");
    expect(server.calls).toEqual([]);
  });
});

describe("limits of a scope in use", () => {
  beforeEach(() => {
    makeFiles();
    writeFileSync(join(files(), "cpu.max"), "max 50000");
  });

  test("change in the unit and in the files, which have the last word", async () => {
    using server = fakeSystemd({
      SetUnitProperties: () => {
        writeFileSync(join(files(), "cpu.max"), "25000");
        return {};
      },
    });
    using systemd = await SystemdManager.connect({ direct: server.path });
    using cgroup = open(place.path);
    expect(await updateScope(systemd, { unit: "a.scope", cgroup }, { cpu: { quota: 12345 } })).toEqual([]);
    expect(server.calls.map(({ body }) => body)).toEqual([
      ["a.scope", true, [["CPUQuotaPerSecUSec", { signature: "t", value: 250000n }]]],
    ]);
    expect(controller("cpu.max")).toBe("12345");
  });

  test("stay as they were when systemd refuses", async () => {
    using server = fakeSystemd({ SetUnitProperties: { errorName: "a.Wrong", signature: "s", body: ["no"] } });
    using systemd = await SystemdManager.connect({ direct: server.path });
    using cgroup = open(place.path);
    const updating = updateScope(systemd, { unit: "a.scope", cgroup }, { cpu: { quota: 5000 } });
    await expect(updating).rejects.toThrow("systemd refuses to change the limits of a.scope: no (a.Wrong)");
    expect(controller("cpu.max")).toBe("max 50000");
  });

  test("are not told to systemd when the kernel refuses, or systemd does not know them", async () => {
    using server = fakeSystemd({});
    using systemd = await SystemdManager.connect({ direct: server.path });
    using cgroup = open(place.path);
    const updating = updateScope(systemd, { unit: "a.scope", cgroup }, { memory: { reservation: 5 } });
    await expect(updating).rejects.toThrow("memory.low");
    writeFileSync(join(files(), "cpu.max.burst"), "");
    expect(await updateScope(systemd, { unit: "a.scope", cgroup }, { cpu: { burst: 5 } })).toEqual([]);
    expect(server.calls).toEqual([]);
  });

  test("that this systemd is too old for are in the files alone", async () => {
    using server = fakeSystemd({
      Get: { signature: "v", body: [{ signature: "s", value: "241-7~deb10u8" }] },
      SetUnitProperties: {},
    });
    using systemd = await SystemdManager.connect({ direct: server.path });
    using cgroup = open(place.path);
    await updateScope(systemd, { unit: "a.scope", cgroup }, { cpu: { quota: 5000, period: 20000 } });
    expect(server.calls.at(-1)?.body[2]).toEqual([["CPUQuotaPerSecUSec", { signature: "t", value: 250000n }]]);
    expect(controller("cpu.max")).toBe("5000 20000");
  });
});

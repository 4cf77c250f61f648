import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { detectCgroups } from "../../src/runtime/cgroup/detect.ts";
import { type BundleChange, canRunBundles, OciSandbox } from "../helpers/bundle.ts";
import { until } from "../helpers/until.ts";

const isSystemdRunning = existsSync("/run/systemd/system");
if (!isSystemdRunning) console.warn("cgroups by systemd are not tested: systemd does not run here");
const host = detectCgroups();
const isV2 = host.v1.length === 0;

function systemctl(...words: string[]): string {
  const { stdout, stderr, exitCode } = Bun.spawnSync(["systemctl", ...words]);
  if (exitCode !== 0) throw new Error(`systemctl ${words.join(" ")}: ${stderr.toString()}`);
  return stdout.toString();
}

/** Properties of a unit as systemd shows them. */
function shown(unit: string, ...names: string[]): Record<string, string> {
  const lines = systemctl("show", "--property", names.join(","), unit).trimEnd().split("\n");
  return Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2))) as Record<string, string>;
}

const isKnown = (unit: string): boolean => shown(unit, "LoadState")["LoadState"] === "loaded";

/** Where a controller's files of a cgroup are. */
function directory(path: string, controller: string): string {
  const v1 = host.v1.find(({ controllers }) => controllers.includes(controller));
  return (v1?.mountPoint ?? host.v2 ?? "") + path;
}

function control(path: string, file: string): string {
  return readFileSync(`${directory(path, file.slice(0, file.indexOf(".")))}/${file}`, "utf8").trimEnd();
}

/** Of the controllers' hierarchies, or the unified one. */
function cgroupsOf(pid: number | "self"): string[] {
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").trimEnd().split("\n");
  return [...new Set(lines.map((line) => line.slice(line.indexOf(":", line.indexOf(":") + 1) + 1)))];
}

describe.skipIf(!isSystemdRunning || !canRunBundles)("a container in a scope of systemd's", () => {
  let sandbox: OciSandbox;
  beforeAll(async () => {
    sandbox = await OciSandbox.create();
  });
  afterAll(() => sandbox?.[Symbol.asyncDispose]());

  const oci = async (...words: string[]): Promise<string> => {
    const { stdout, stderr, exitCode } = await sandbox.oci(words);
    expect({ words, stderr, exitCode }).toEqual({ words, stderr: "", exitCode: 0 });
    return stdout;
  };

  /** Runs a container that sleeps. */
  async function runDetached(id: string, { process, linux, ...change }: BundleChange = {}) {
    const bundle = sandbox.bundle({
      ...change,
      process: { args: ["sleep", "1000"], ...process },
      linux: { cgroupsPath: `system.slice:test:${id}`, ...linux },
    });
    await oci("--systemd-cgroup", "run", "--detach", "--bundle", bundle, id);
    return {
      id,
      pid: (await sandbox.state(id)).pid,
      unit: `test-${id}.scope`,
      path: `/system.slice/test-${id}.scope`,
    };
  }

  async function removed({ id, unit, path }: { id: string; unit: string; path: string }): Promise<void> {
    await oci("delete", "--force", id);
    expect({ id, isKnown: isKnown(unit) }).toEqual({ id, isKnown: false });
    for (const controller of ["pids", "memory", "devices", "cpuset", "freezer"]) {
      expect(existsSync(directory(path, controller))).toBeFalse();
    }
  }

  test("is in it alone, with its limits in the unit and in the files", async () => {
    const resources = {
      pids: { limit: 20 },
      memory: { limit: 64 << 20, ...(isV2 && { reservation: 32 << 20 }) },
      cpu: { shares: 512, quota: 12345, period: 50000 },
    };
    const container = await runDetached("limited", { linux: { resources } });
    const { pid, unit, path } = container;
    expect(cgroupsOf(pid)).toEqual([path]);
    expect(JSON.parse(await oci("ps", "--format", "json", "limited"))).toEqual([pid]);
    expect(shown(unit, "ActiveState", "Delegate", "Slice", "Description", "TasksMax", "CPUQuotaPerSecUSec")).toEqual({
      ActiveState: "active",
      Delegate: "yes",
      Slice: "system.slice",
      Description: "gocker container limited",
      TasksMax: "20",
      CPUQuotaPerSecUSec: "250ms",
    });
    expect(control(path, "pids.max")).toBe("20");
    if (isV2) {
      expect(shown(unit, "MemoryMax", "MemoryLow", "CPUWeight")).toEqual({
        MemoryMax: String(64 << 20),
        MemoryLow: String(32 << 20),
        CPUWeight: "59",
      });
      expect([control(path, "memory.max"), control(path, "cpu.max")]).toEqual([String(64 << 20), "12345 50000"]);
    } else {
      expect(shown(unit, "MemoryLimit", "CPUShares")).toEqual({ MemoryLimit: String(64 << 20), CPUShares: "512" });
      expect(control(path, "memory.limit_in_bytes")).toBe(String(64 << 20));
      expect(control(path, "cpu.cfs_quota_us")).toBe("12345");
    }
    await removed(container);
  });

  test("lies in the slices that its name tells, and without a path in system.slice", async () => {
    const bundle = sandbox.bundle({
      process: { args: ["sleep", "1000"] },
      linux: { cgroupsPath: "gockertest-a_b.slice:pre:x" },
    });
    await oci("--systemd-cgroup", "run", "--detach", "--bundle", bundle, "sliced");
    const path = "/gockertest.slice/gockertest-a_b.slice/pre-x.scope";
    expect(cgroupsOf((await sandbox.state("sliced")).pid)).toEqual([path]);
    await oci("delete", "--force", "sliced");
    await oci("--systemd-cgroup", "create", "--bundle", sandbox.bundle({ process: { args: ["true"] } }), "plain");
    expect(cgroupsOf((await sandbox.state("plain")).pid)).toEqual(["/system.slice/gocker-plain.scope"]);
    await oci("delete", "--force", "plain");
    expect(isKnown("gocker-plain.scope")).toBeFalse();
  });

  test("run waits, and leaves no unit; what cannot be executed leaves none either", async () => {
    const linux = { cgroupsPath: ":test:once" };
    const bundle = sandbox.bundle({ process: { args: ["sh", "-c", "exit 7"] }, linux });
    expect(await sandbox.oci(["--systemd-cgroup", "run", "--bundle", bundle, "once"])).toEqual({
      stdout: "",
      stderr: "",
      exitCode: 7,
    });
    const wrong = sandbox.bundle({ process: { args: ["/missing"] }, linux });
    expect(await sandbox.oci(["--systemd-cgroup", "create", "--bundle", wrong, "once"])).toMatchObject({
      exitCode: 1,
    });
    expect(isKnown("test-once.scope")).toBeFalse();
    expect(existsSync(directory("/system.slice/test-once.scope", "pids"))).toBeFalse();
  });

  test("exec joins it, and a limit of one process keeps that out", async () => {
    const container = await runDetached("joined");
    const args = ["exec", "--detach", "joined", "sleep", "1000"];
    await oci(...args);
    const pids = JSON.parse(await oci("ps", "--format", "json", "joined")) as number[];
    expect(pids.map(cgroupsOf)).toEqual([[container.path], [container.path]]);
    expect(JSON.parse(await oci("events", "--stats", "joined"))).toMatchObject({ data: { pids: { current: 2 } } });
    await removed(container);

    const alone = await runDetached("alone", { linux: { resources: { pids: { limit: 1 } } } });
    expect(control(alone.path, "pids.max")).toBe("1");
    expect(await sandbox.oci(["exec", "alone", "true"])).toMatchObject({ exitCode: 255 });
    await removed(alone);
  });

  test("update changes the unit and the files, which stay when systemd is reloaded", async () => {
    const container = await runDetached("updated", {
      linux: { resources: { pids: { limit: 20 }, cpu: { quota: 25000, period: 50000 } } },
    });
    const { unit, path } = container;
    await oci("update", "--pids-limit", "30", "--memory", String(32 << 20), "--cpu-quota", "10000", "updated");
    const memory = isV2 ? "MemoryMax" : "MemoryLimit";
    expect(shown(unit, "TasksMax", memory, "CPUQuotaPerSecUSec")).toEqual({
      TasksMax: "30",
      [memory]: String(32 << 20),
      CPUQuotaPerSecUSec: "200ms",
    });
    const values = () => [
      control(path, "pids.max"),
      control(path, isV2 ? "memory.max" : "memory.limit_in_bytes"),
      control(path, isV2 ? "cpu.max" : "cpu.cfs_quota_us"),
    ];
    const wanted = ["30", String(32 << 20), isV2 ? "10000 50000" : "10000"];
    expect(values()).toEqual(wanted);
    systemctl("daemon-reload");
    expect(values()).toEqual(wanted);
    const refused = await sandbox.oci(["update", "--pids-limit", "40", "--cpu-quota", "5", "updated"]);
    expect(refused.exitCode).toBe(1);
    expect(values()).toEqual(wanted);
    expect(shown(unit, "TasksMax")).toEqual({ TasksMax: "30" });
    await removed(container);
  });

  test("stands still, goes on and is killed", async () => {
    const container = await runDetached("paused");
    await oci("pause", "paused");
    expect((await sandbox.state("paused")).status).toBe("paused");
    await oci("update", "--pids-limit", "9", "paused");
    await oci("resume", "paused");
    expect((await sandbox.state("paused")).status).toBe("running");
    await oci("pause", "paused");
    await oci("kill", "paused", "KILL");
    await until("it has ended", async () => (await sandbox.state("paused")).status === "stopped");
    await removed(container);
    const forced = await runDetached("forced");
    await oci("pause", "forced");
    await removed(forced);
  });

  test("without a pid namespace of its own none of its processes stays", async () => {
    const types = ["mount", "uts", "ipc", "network", ...(isV2 ? ["cgroup" as const] : [])] as const;
    const container = await runDetached("shared", {
      process: { args: ["sh", "-c", "sleep 1000 & sleep 1000"] },
      linux: { namespaces: types.map((type) => ({ type })) },
    });
    await until("both run", async () => JSON.parse(await oci("ps", "--format", "json", "shared")).length > 1);
    await oci("kill", "shared", "KILL");
    await until("it has ended", async () => (await sandbox.state("shared")).status === "stopped");
    await removed(container);
  });

  test.skipIf(!isV2)("with a user namespace makes cgroups of its own, which go with it", async () => {
    const mappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
    const types = ["user", "mount", "pid", "network", "ipc", "uts", "cgroup"] as const;
    const options = ["nosuid", "noexec", "nodev", "rw"];
    const container = await runDetached("mapped", {
      process: { args: ["/bin/busybox", "sh", "-c", "/bin/busybox mkdir /sys/fs/cgroup/own && sleep 1000"] },
      linux: { namespaces: types.map((type) => ({ type })), uidMappings: mappings, gidMappings: mappings },
      spec: {
        mounts: [
          { destination: "/proc", type: "proc", source: "proc" },
          { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
          { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options },
        ],
      },
    });
    await until("it has made one", () => existsSync(directory(`${container.path}/own`, "cgroup")));
    await removed(container);
  });

  test("that has failed for lack of memory is forgotten", async () => {
    const container = await runDetached("hungry", {
      process: { args: ["sh", "-c", "sleep 1; exec tail /dev/zero"] },
      linux: { resources: { memory: { limit: 16 << 20, swap: 16 << 20 } } },
    });
    await until("it has ended", async () => (await sandbox.state("hungry")).status === "stopped");
    await removed(container);
  });

  test("of another container is not taken", async () => {
    const container = await runDetached("first");
    const bundle = sandbox.bundle({ process: { args: ["true"] }, linux: { cgroupsPath: "system.slice:test:first" } });
    const { stderr, exitCode } = await sandbox.oci(["--systemd-cgroup", "run", "--bundle", bundle, "second"]);
    expect({ message: stderr.split("\n")[0], exitCode }).toEqual({
      message: expect.stringContaining("gocker: systemd refuses to start test-first.scope: "),
      exitCode: 1,
    });
    expect(await sandbox.state("first")).toMatchObject({ status: "running", pid: container.pid });
    await removed(container);
  });

  test("has the properties that annotations ask for", async () => {
    const annotations = {
      "org.systemd.property.TimeoutStopSec": "7",
      "org.systemd.property.CollectMode": "'inactive'",
    };
    const container = await runDetached("annotated", { spec: { annotations } });
    expect(shown(container.unit, "TimeoutStopUSec")).toEqual({ TimeoutStopUSec: "7s" });
    await removed(container);
    const wrong = { "org.systemd.property.NoSuchThing": "true" };
    const bundle = sandbox.bundle({ process: { args: ["true"] }, spec: { annotations: wrong } });
    const { stderr, exitCode } = await sandbox.oci(["--systemd-cgroup", "run", "--bundle", bundle, "wrong"]);
    expect({ message: stderr.split("\n")[0], exitCode }).toEqual({
      message: expect.stringContaining("systemd refuses to start gocker-wrong.scope: "),
      exitCode: 1,
    });
  });

  test("keeps its devices to itself when systemd is reloaded", async () => {
    const devices = [{ path: "/dev/kmsg", type: "c" as const, major: 1, minor: 11 }];
    const container = await runDetached("devices", { linux: { devices } });
    const read = () => sandbox.oci(["exec", "devices", "sh", "-c", "true < /dev/null && ! true < /dev/kmsg"]);
    for (let round = 0; round < 2; round++) {
      expect(await read()).toMatchObject({ stderr: expect.stringContaining("not permitted"), exitCode: 0 });
      systemctl("daemon-reload");
    }
    await removed(container);
  });

  test("ends, with the container's making, when a hook fails", async () => {
    const hooks = { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", "exit 3"] }] };
    const linux = { cgroupsPath: ":test:hooked", resources: { pids: { limit: 5 } } };
    const bundle = sandbox.bundle({ process: { args: ["true"] }, linux, spec: { hooks } });
    expect(await sandbox.oci(["--systemd-cgroup", "create", "--bundle", bundle, "hooked"])).toMatchObject({
      exitCode: 1,
    });
    expect(isKnown("test-hooked.scope")).toBeFalse();
  });
});

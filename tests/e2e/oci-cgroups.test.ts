import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { defaultRuntimeSpec } from "../../src/oci/default-runtime-spec.ts";
import type { DeviceCgroupRule, Mount, Resources } from "../../src/oci/runtime-spec.ts";
import { openCgroup } from "../../src/runtime/cgroup/open.ts";
import { gockerBinary } from "../helpers/binary.ts";
import { canRunBundles, OciSandbox } from "../helpers/bundle.ts";
import { has, hasV2, host, valueOf } from "../helpers/cgroups.ts";
import { helloNamespaces } from "../helpers/hello.ts";
import { success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

/*
 * What containers of bundles may use, on the cgroups that this host has. The kernel's files say what is in force.
 */

const mebibyte = 1024 * 1024;
const isUnified = host.v1.length === 0 && host.v2 !== undefined;
const hasLimits = has("memory") && has("pids") && has("cpu");
if (canRunBundles && !hasLimits) console.warn("limits of bundles: skipped, this host has not all controllers");

const inShell = (script: string) => ({ args: ["sh", "-c", script] });

/** The mounts of a usual bundle, but for its cgroups, and another one. */
function mountsWith(other: Mount): Mount[] {
  const { mounts = [] } = defaultRuntimeSpec({ cgroupNamespace: false });
  return [...mounts.filter(({ type }) => type !== "cgroup"), other];
}

/** A directory of the host's, at the container's /mnt. */
function directoryMount(source: string): Mount {
  return { destination: "/mnt", type: "bind", source, options: ["rbind"] };
}

/** The limits in force, by the files of either version. */
function limitsOf(id: string) {
  using cgroup = openCgroup(`/gocker/${id}`);
  return {
    memory: Number(valueOf(cgroup, hasV2("memory") ? "memory.max" : "memory.limit_in_bytes")),
    processes: valueOf(cgroup, "pids.max"),
    processors: hasV2("cpu")
      ? valueOf(cgroup, "cpu.max")
      : `${valueOf(cgroup, "cpu.cfs_quota_us")} ${valueOf(cgroup, "cpu.cfs_period_us")}`,
  };
}

describe.skipIf(!canRunBundles)("the cgroup of a bundle's container", () => {
  let sandbox: OciSandbox;
  beforeAll(async () => {
    sandbox = await OciSandbox.create();
  });
  afterAll(() => sandbox?.[Symbol.asyncDispose]());

  test.skipIf(!hasLimits)("limits are in force, change, also while it is paused, and are counted", async () => {
    const resources: Resources = {
      memory: { limit: 64 * mebibyte },
      pids: { limit: 20 },
      cpu: { quota: 50_000, period: 100_000 },
    };
    await sandbox.runDetached("limited", { linux: { resources } });
    expect(limitsOf("limited")).toEqual({ memory: 64 * mebibyte, processes: "20", processors: "50000 100000" });

    const words = ["--memory", "128M", "--pids-limit", "30", "--cpu-quota", "20000"];
    expect(await sandbox.oci(["update", ...words, "limited"])).toEqual(success(""));
    expect(limitsOf("limited")).toEqual({ memory: 128 * mebibyte, processes: "30", processors: "20000 100000" });

    expect(await sandbox.oci(["pause", "limited"])).toEqual(success(""));
    const change = JSON.stringify({ cpu: { quota: 30_000 } } satisfies Resources);
    expect(await sandbox.oci(["update", "--resources", "-", "limited"], { stdin: change })).toEqual(success(""));
    expect(await sandbox.state("limited")).toMatchObject({ status: "paused" });
    expect(await sandbox.oci(["resume", "limited"])).toEqual(success(""));
    expect(limitsOf("limited")).toEqual({ memory: 128 * mebibyte, processes: "30", processors: "30000 100000" });

    const { stdout } = await sandbox.oci(["events", "--stats", "limited"]);
    const { data } = JSON.parse(stdout) as { data: { pids: unknown; memory: { usage: { limit: number } } } };
    expect(data.pids).toEqual({ current: 1, limit: 30 });
    expect(data.memory.usage.limit).toBe(128 * mebibyte);
    expect(await sandbox.oci(["delete", "--force", "limited"])).toEqual(success(""));
    expect(openCgroup("/gocker/limited").exists()).toBe(false);
  });

  test.skipIf(!has("pids"))("a process too many is not made", async () => {
    const bundle = sandbox.bundle({
      process: inShell("sleep 0.1 & sleep 0.1 & sleep 0.1 & wait; echo not reached"),
      linux: { resources: { pids: { limit: 3 } } },
    });
    const { stdout, stderr } = await sandbox.oci(["run", "--bundle", bundle, "full"]);
    expect(stdout).toBe("");
    expect(stderr).toContain("can't fork: Resource temporarily unavailable");
  });

  test.skipIf(!has("memory"))("what takes more memory than it may is killed", async () => {
    const bundle = sandbox.bundle({
      process: { args: ["busybox", "tail", "/dev/zero"] },
      linux: { resources: { memory: { limit: 16 * mebibyte } } },
    });
    expect(await sandbox.oci(["run", "--bundle", bundle, "hungry"])).toEqual({ stdout: "", stderr: "", exitCode: 137 });
  });

  const denyAll: DeviceCgroupRule = { allow: false, access: "rwm" };
  const allowWriting: DeviceCgroupRule = { allow: true, type: "c", major: 1, minor: 11, access: "w" };
  test.each([
    ["none", [denyAll], ["refused", "refused"]],
    ["writing", [denyAll, allowWriting], ["written", "refused"]],
  ] as const)(
    "a device that rules allow %s of is open as far as that, whatever limits change",
    async (_, rules, outcome) => {
      const devices = [{ path: "/dev/messages", type: "c" as const, major: 1, minor: 11, fileMode: 0o666 }];
      await sandbox.runDetached("ruled", { linux: { devices, resources: { devices: [...rules] } } });
      const script =
        "(: >/dev/messages) 2>/dev/null && echo written || echo refused; " +
        "(: <>/dev/messages) 2>/dev/null && echo opened || echo refused; echo x >/dev/null && echo null";
      const result = success([...outcome, "null", ""].join("\n"));
      expect(await sandbox.oci(["exec", "ruled", "sh", "-c", script])).toEqual(result);
      if (has("pids")) expect(await sandbox.oci(["update", "--pids-limit", "50", "ruled"])).toEqual(success(""));
      expect(await sandbox.oci(["exec", "ruled", "sh", "-c", script])).toEqual(result);
      await sandbox.oci(["delete", "--force", "ruled"]);
    },
  );

  test("kill --all reaches those that have left their parents, and nobody is left", async () => {
    const marker = join(sandbox.directory, "begun");
    await sandbox.runDetached("family", {
      process: inShell("trap '' TERM; (sleep 1000 & sleep 1000 &); trap - TERM; touch /mnt/begun; exec sleep 1000"),
      linux: { namespaces: [{ type: "mount" }, { type: "uts" }] },
      spec: { mounts: mountsWith(directoryMount(sandbox.directory)) },
    });
    await until("all have begun", () => existsSync(marker));
    using cgroup = openCgroup("/gocker/family");
    expect(cgroup.processes()).toHaveLength(3);
    expect(await sandbox.oci(["kill", "--all", "family", "TERM"])).toEqual(success(""));
    await until("the first one has ended", async () => (await sandbox.state("family")).status === "stopped");
    // The others do not mind SIGTERM.
    expect(cgroup.processes()).toHaveLength(2);
    expect(await sandbox.oci(["kill", "--all", "family", "KILL"])).toEqual(success(""));
    await until("the others have ended", () => cgroup.processes().length === 0);
    expect(await sandbox.oci(["delete", "family"])).toEqual(success(""));
  });
});

describe.skipIf(!canRunBundles || !isUnified)("version 2 alone", () => {
  let sandbox: OciSandbox;
  beforeAll(async () => {
    sandbox = await OciSandbox.create();
  });
  afterAll(() => sandbox?.[Symbol.asyncDispose]());

  const cgroupMount = (...options: string[]): Mount[] =>
    mountsWith({ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", ...options] });
  const refused = (file: string) => `sh: can't create /sys/fs/cgroup/${file}: Read-only file system\n`;

  test("the built-in image runs in namespaces of its own, that of cgroups among them", async () => {
    const { stdout, stderr, exitCode } = await sandbox.sandbox.gocker(["run", "--rm", "gocker/hello"]);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    const { cgroup } = helloNamespaces(stdout);
    expect(cgroup).toMatch(/^cgroup:\[\d+\]$/);
    expect(cgroup).not.toBe(readlinkSync("/proc/self/ns/cgroup"));
  });

  test("a container that may write to its cgroups hands controllers down, and what enters it goes where it is", async () => {
    const script =
      "cd /sys/fs/cgroup; busybox mkdir inner other; echo $$ >inner/cgroup.procs; " +
      "echo '+memory +pids' >cgroup.subtree_control; exec sleep 1000";
    await sandbox.runDetached("delegated", { process: inShell(script), spec: { mounts: cgroupMount() } });
    const file = `${host.v2}/gocker/delegated/other/cgroup.controllers`;
    await until("the controllers are there", () => existsSync(file) && readFileSync(file, "utf8") === "memory pids\n");
    expect(await sandbox.oci(["exec", "delegated", "cat", "/proc/self/cgroup"])).toEqual(success("0::/inner\n"));
    expect(JSON.parse((await sandbox.oci(["ps", "--format", "json", "delegated"])).stdout)).toHaveLength(1);
    expect(await sandbox.oci(["pause", "delegated"])).toEqual(success(""));
    expect(await sandbox.oci(["delete", "--force", "delegated"])).toEqual(success(""));
    expect(existsSync(`${host.v2}/gocker/delegated`)).toBe(false);
  });

  test.each([
    ["read-only", ["ro"], refused("pids.max")],
    // The namespace's root is the host's to limit: cgroup-v2.rst, "nsdelegate".
    ["writable", [], "sh: write error: Operation not permitted\n"],
  ])("the limits are not the container's to change where its cgroups are %s", async (_, options, stderr) => {
    const bundle = sandbox.bundle({
      process: inShell("echo max >/sys/fs/cgroup/pids.max; cat /sys/fs/cgroup/pids.max"),
      spec: { mounts: cgroupMount(...options) },
      linux: { resources: { pids: { limit: 7 } } },
    });
    expect(await sandbox.oci(["run", "--bundle", bundle, "own"])).toEqual({ stdout: "7\n", stderr, exitCode: 0 });
  });

  test("in the host's namespace it sees the host's cgroups, whose mount stays as it is", async () => {
    const mountsOfHost = () => readFileSync("/proc/self/mountinfo", "utf8").match(/^.* cgroup2 .*$/gm);
    const before = mountsOfHost();
    const script = "cat /proc/self/cgroup; grep -c . /sys/fs/cgroup/gocker/shared/cgroup.procs; echo >/sys/fs/cgroup/x";
    const bundle = sandbox.bundle({
      process: inShell(script),
      spec: { mounts: cgroupMount("ro") },
      linux: { namespaces: [{ type: "mount" }, { type: "uts" }, { type: "pid" }] },
    });
    expect(await sandbox.oci(["run", "--bundle", bundle, "shared"])).toEqual({
      // The shell, and grep.
      stdout: "0::/gocker/shared\n2\n",
      stderr: refused("x"),
      exitCode: 1,
    });
    expect(mountsOfHost()).toEqual(before);
  });

  test("an out-of-memory kill is told by events", async () => {
    await sandbox.runDetached("watched", {
      process: inShell("while [ ! -e /mnt/go ]; do sleep 0.1; done; busybox tail /dev/zero; exec sleep 1000"),
      spec: { mounts: mountsWith(directoryMount(sandbox.directory)) },
      linux: { resources: { memory: { limit: 16 * mebibyte } } },
    });
    const words = ["oci", "--root", sandbox.stateRoot, "events", "--interval", "1ms", "watched"];
    const child = Bun.spawn([gockerBinary(), ...words], { stdout: "pipe", env: {} });
    const kinds = new Set<string>();
    for await (const line of linesOf(child.stdout)) {
      const { type } = JSON.parse(line) as { type: string };
      // The first statistics are printed after the watch has begun.
      if (kinds.size === 0) writeFileSync(join(sandbox.directory, "go"), "");
      if (type === "oom") expect(await sandbox.oci(["delete", "--force", "watched"])).toEqual(success(""));
      kinds.add(type);
    }
    expect(await child.exited).toBe(0);
    expect([...kinds]).toEqual(["stats", "oom"]);
  });
});

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

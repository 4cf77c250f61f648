import { describe, expect, test } from "bun:test";
import { readFileSync, readlinkSync } from "node:fs";
import { showCall } from "../../../../src/cli/explain/arguments.ts";
import {
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
} from "../../../../src/linux/constants.ts";
import { errnos } from "../../../../src/linux/errno.ts";
import { namespaceAt, type NamespaceFile } from "../../../../src/linux/namespace.ts";
import { writeIdMappings } from "../../../../src/linux/user-namespace.ts";
import type { Namespace, NamespaceType } from "../../../../src/oci/runtime-spec.ts";
import { PlanBuilder } from "../../../../src/runtime/plan/builder.ts";
import { addNamespaces, planNamespaces } from "../../../../src/runtime/plan/namespaces.ts";
import { addTimeNamespace, checkTimeOffsets } from "../../../../src/runtime/plan/time-namespace.ts";
import { addRootOfNamespace, addUserNamespaceSetup } from "../../../../src/runtime/plan/user-namespace.ts";
import { runPlan, shellSteps } from "../../../helpers/launched-plan.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn("skipped: joining and mapping namespaces needs root");

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

function fresh(...types: NamespaceType[]): Namespace[] {
  return types.map((type) => ({ type }));
}

function joined(...types: NamespaceType[]): Namespace[] {
  return types.map((type) => ({ type, path: `/ns/${type}` }));
}

describe("a plan of namespaces", () => {
  test("makes new ones with the process, but those that hang on what it does first", () => {
    expect(planNamespaces(fresh("pid", "mount", "cgroup", "time"), facts)).toEqual({
      cloneFlags: CLONE_NEWPID | CLONE_NEWNS,
      joins: [],
      lateFlags: 0,
      makesChild: false,
      mapsIds: false,
      makesCgroup: true,
      makesTime: true,
      own: new Set<NamespaceType>(["pid", "mount", "cgroup", "time"]),
    });
  });

  test("makes a user namespace in a child, and behind it those that it owns", () => {
    const plan = planNamespaces(fresh("mount", "user"), facts);
    const lateFlags = CLONE_NEWNS | CLONE_NEWUSER;
    expect(plan).toMatchObject({ cloneFlags: 0, lateFlags, mapsIds: true, makesChild: true });
  });

  test("joins others without a further process, unless it is a pid namespace", () => {
    const plan = planNamespaces([...fresh("mount"), ...joined("network")], facts);
    expect(plan).toMatchObject({ cloneFlags: CLONE_NEWNS, lateFlags: 0, makesChild: false });
    expect(plan.joins).toEqual([{ type: "network", path: "/ns/network", property: "linux.namespaces[1].path" }]);
    expect(planNamespaces(joined("pid"), facts)).toMatchObject({ cloneFlags: 0, makesChild: true });
  });

  test("joins before a new user namespace takes the rights for it away", () => {
    const plan = planNamespaces([...fresh("user", "mount", "pid"), ...joined("network")], facts);
    const lateFlags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID;
    expect(plan).toMatchObject({ cloneFlags: 0, lateFlags, makesChild: true, mapsIds: true });
  });

  test("makes what is new behind a user namespace that is joined", () => {
    const plan = planNamespaces([...fresh("mount", "uts"), ...joined("user")], facts);
    const lateFlags = CLONE_NEWNS | CLONE_NEWUTS;
    expect(plan).toMatchObject({ cloneFlags: 0, lateFlags, makesChild: false, mapsIds: false });
  });

  test("leaves gocker's own as they are, and takes an empty path for none", () => {
    const list: Namespace[] = [
      { type: "user", path: "/own/user" },
      { type: "pid", path: "/own/pid" },
      { type: "uts", path: "" },
    ];
    expect(planNamespaces(list, facts)).toMatchObject({
      cloneFlags: CLONE_NEWUTS,
      joins: [],
      makesChild: false,
      own: new Set(["uts"]),
    });
  });

  test.each<[Namespace[], string]>([
    [fresh("pid", "pid"), "linux.namespaces[1].type: pid is given twice"],
    [[{ type: "weather" as NamespaceType }], "linux.namespaces[0].type: unknown type weather"],
    [[{ type: "ipc", path: "ns/ipc" }], "linux.namespaces[0].path: ns/ipc is not absolute"],
    [[{ type: "ipc", path: "/gone" }], "linux.namespaces[0].path: /gone does not exist"],
    [[{ type: "ipc", path: "/etc/hosts" }], "linux.namespaces[0].path: /etc/hosts is no namespace"],
    [
      [...fresh("uts"), { type: "ipc", path: "/ns/mount" }],
      "linux.namespaces[1].path: /ns/mount is a mount namespace, not a ipc namespace",
    ],
  ])("refuses %j", (list, message) => {
    expect(() => planNamespaces(list, facts)).toThrow(message);
  });
});

function stepsOf(list: Namespace[]): string[] {
  const builder = new PlanBuilder();
  addNamespaces(builder, { plan: planNamespaces(list, facts), pidDescriptor: 9 });
  return builder.steps.map((step) => {
    const skip = step.onError?.skip === undefined ? "" : `, skips ${step.onError.skip}`;
    return showCall(step) + (step.onError === undefined ? "" : ` tolerates ${String(step.onError.tolerate)}${skip}`);
  });
}

describe("the steps", () => {
  test("are none where all comes with the process", () => {
    expect(stepsOf(fresh("mount", "pid", "cgroup"))).toEqual([]);
  });

  test("open all before the first is joined, the mount namespace last", () => {
    expect(stepsOf(joined("mount", "network"))).toEqual([
      'openat(AT_FDCWD, "/proc", O_PATH|O_DIRECTORY|O_CLOEXEC) → proc of the host',
      'openat(AT_FDCWD, "/ns/network", O_RDONLY|O_CLOEXEC) → network namespace',
      'openat(AT_FDCWD, "/ns/mount", O_RDONLY|O_CLOEXEC) → mount namespace',
      "setns(‹network namespace›, CLONE_NEWNET)",
      "setns(‹mount namespace›, CLONE_NEWNS)",
      "close(‹network namespace›)",
      "close(‹mount namespace›)",
    ]);
  });

  test("try again behind a user namespace, and make the rest in a child", () => {
    expect(stepsOf([...joined("user", "network"), ...fresh("pid", "mount")]).slice(3)).toEqual([
      "setns(‹network namespace›, CLONE_NEWNET) tolerates EPERM, skips 1",
      "close(‹network namespace›)",
      "setns(‹user namespace›, CLONE_NEWUSER)",
      "setns(‹network namespace›, CLONE_NEWNET) tolerates EBADF",
      "close(‹user namespace›) tolerates EBADF",
      "close(‹network namespace›) tolerates EBADF",
      "clone(SIGCHLD|CLONE_NEWNS|CLONE_NEWPID|CLONE_PARENT)",
      'readlinkat(‹proc of the host›, "self", {16 bytes}, 16) → length of the number',
      "write(9, {16 bytes}, ‹length of the number›)",
    ]);
  });
});

const links = "for name in user net ipc uts pid mnt time; do readlink /proc/self/ns/$name; done";

/** A process that stays in namespaces of its own while a test runs. */
async function holder(...unshared: string[]) {
  const child = Bun.spawn(["unshare", ...unshared, "sh", "-c", "echo ready; exec cat"], {
    stdin: "pipe",
    stdout: "pipe",
  });
  const reader = child.stdout.getReader();
  await reader.read();
  // What unshare(1) forks is the one that is in a pid namespace.
  const forked = unshared.includes("--fork")
    ? readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "latin1").trim()
    : "";
  const pid = forked === "" ? child.pid : Number(forked);
  return {
    path: (name: string) => `/proc/${pid}/ns/${name}`,
    pid,
    async [Symbol.asyncDispose]() {
      await child.stdin.end();
      await child.exited;
    },
  };
}

function own(name: string): string {
  return readlinkSync(`/proc/self/ns/${name}`);
}

describe.skipIf(!isRoot)("for real", () => {
  /** Runs a script in the namespaces. */
  async function inNamespaces(list: Namespace[], script: string, change: { mapped?: boolean; deny?: boolean } = {}) {
    const plan = planNamespaces(list, { namespaceAt });
    const denySetgroups = change.deny === true;
    return runPlan({
      namespaces: plan.cloneFlags,
      makesChild: plan.makesChild,
      steps({ pid, go }) {
        const builder = new PlanBuilder();
        const proc = addNamespaces(builder, { plan, pidDescriptor: pid });
        if (plan.makesTime)
          addTimeNamespace(builder, { monotonic: { secs: 1000 }, boottime: { secs: 2_000_000 } }, proc);
        if (plan.mapsIds) addUserNamespaceSetup(builder, { waitDescriptor: go, denySetgroups });
        else if (plan.own.has("user")) addRootOfNamespace(builder, denySetgroups);
        return [...builder.steps, ...shellSteps(script)];
      },
      prepare(pid) {
        if (plan.mapsIds && change.mapped !== false) {
          const mapping = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
          writeIdMappings(pid, mapping, mapping, { denySetgroups });
        }
      },
    });
  }

  test("a network and a uts namespace are joined, by a process that is new in a mount namespace", async () => {
    await using other = await holder("--net", "--uts");
    const list: Namespace[] = [
      { type: "mount" },
      { type: "network", path: other.path("net") },
      { type: "uts", path: other.path("uts") },
    ];
    const { stdout, exitCode } = await inNamespaces(list, links);
    const [user, net, ipc, uts, pid, mnt] = stdout.split("\n");
    expect(exitCode).toBe(0);
    expect([user, ipc, pid]).toEqual([own("user"), own("ipc"), own("pid")]);
    expect([net, uts]).toEqual([readlinkSync(other.path("net")), readlinkSync(other.path("uts"))]);
    expect(mnt).not.toBe(own("mnt"));
  });

  test("a pid namespace is joined by a child, whose number the launcher learns", async () => {
    await using other = await holder("--pid", "--fork");
    const list: Namespace[] = [{ type: "pid", path: other.path("pid") }];
    const { stdout, exitCode, pid } = await inNamespaces(list, "echo $$; readlink /proc/self/ns/pid");
    expect(exitCode).toBe(0);
    // The host's /proc, which the shell's children look at, shows the host's numbers.
    expect(stdout).toBe(`2\n${readlinkSync(other.path("pid"))}\n`);
    expect(pid).toBeGreaterThan(2);
  });

  test("a new user namespace is mapped, its root is the process", async () => {
    const script = "id -u; id -g; id -G; cat /proc/self/uid_map /proc/self/gid_map; cat /proc/self/setgroups; echo $$";
    const { stdout, exitCode } = await inNamespaces(fresh("user", "pid", "mount"), script);
    const map = "         0     100000      65536";
    expect({ stdout, exitCode }).toEqual({
      stdout: ["0", "0", "0", map, map, "allow", "1", ""].join("\n"),
      exitCode: 0,
    });
  });

  test("a new user namespace without setgroups says so", async () => {
    const { stdout } = await inNamespaces(fresh("user"), "id -u; cat /proc/self/setgroups", { deny: true });
    expect(stdout).toBe("0\ndeny\n");
  });

  test("a new user namespace comes after a host's network namespace, and owns the pid namespace", async () => {
    await using other = await holder("--net");
    const list: Namespace[] = [...fresh("user", "pid", "mount"), { type: "network", path: other.path("net") }];
    // Only the owner of its pid namespace may mount a procfs of it.
    const script = "id -u; echo $$; readlink /proc/self/ns/net; mount -t proc proc /proc && readlink /proc/self";
    const { stdout, exitCode } = await inNamespaces(list, script);
    const [uid, pid, net] = stdout.split("\n");
    expect([uid, pid, net]).toEqual(["0", "1", readlinkSync(other.path("net"))]);
    expect(exitCode).toBe(0);
  });

  test("a user namespace is joined, with one that it owns and one that the host owns", async () => {
    await using other = await holder("--user", "--map-root-user", "--uts");
    await using host = await holder("--net");
    const list: Namespace[] = [
      { type: "user", path: other.path("user") },
      { type: "uts", path: other.path("uts") },
      { type: "network", path: host.path("net") },
      ...fresh("mount", "pid"),
    ];
    const { stdout, exitCode } = await inNamespaces(list, `${links}; id -u; echo $$; hostname joined; hostname`, {
      deny: true,
    });
    const [user, net, , uts, , mnt, , uid, pid, hostname] = stdout.split("\n");
    expect([user, uts]).toEqual([readlinkSync(other.path("user")), readlinkSync(other.path("uts"))]);
    expect(net).toBe(readlinkSync(host.path("net")));
    expect(mnt).not.toBe(own("mnt"));
    expect([uid, pid, hostname]).toEqual(["0", "1", "joined"]);
    expect(exitCode).toBe(0);
  });

  test("what exec joins: all namespaces of a container with a user namespace", async () => {
    await using other = await holder("--user", "--map-root-user", "--pid", "--fork", "--mount", "--net", "--uts");
    const list: Namespace[] = [
      { type: "user", path: other.path("user") },
      { type: "pid", path: other.path("pid") },
      { type: "mount", path: other.path("mnt") },
      { type: "network", path: other.path("net") },
      { type: "uts", path: other.path("uts") },
    ];
    const { stdout, exitCode } = await inNamespaces(list, `${links}; id -u; echo $$`, { deny: true });
    const names = ["user", "net", "uts", "pid", "mnt"];
    const [user, net, , uts, pid, mnt, , uid, number] = stdout.split("\n");
    expect([user, net, uts, pid, mnt]).toEqual(names.map((name) => readlinkSync(other.path(name))));
    expect([uid, number]).toEqual(["0", "2"]);
    expect(exitCode).toBe(0);
  });

  test("without mappings, since the launcher has died, nothing goes on", async () => {
    const { outcome, exitCode } = await inNamespaces(fresh("user", "mount"), "echo there", { mapped: false });
    expect(outcome.fatal?.step.label).toBe("Leave the host's groups");
    expect(outcome.fatal?.errno).toBe(errnos.EPERM);
    expect(exitCode).toBe(127);
  });

  test("a namespace that became another by the time of the plan is refused by the kernel", async () => {
    await using other = await holder("--uts");
    const lying = { namespaceAt: () => ({ type: CLONE_NEWNET, isOwn: false }) };
    const plan = planNamespaces([{ type: "network", path: other.path("uts") }], lying);
    const { outcome } = await runPlan({
      steps() {
        const builder = new PlanBuilder();
        addNamespaces(builder, { plan });
        return builder.steps;
      },
    });
    expect(outcome.fatal?.step.label).toBe("Join the network namespace of linux.namespaces[0].path");
    expect(outcome.fatal?.errno).toBe(errnos.EINVAL);
  });

  test("clocks are set off, for the process itself, also behind a user namespace", async () => {
    const script = "cut -d. -f1 /proc/uptime; readlink /proc/self/ns/time; cat /proc/self/timens_offsets";
    await using host = await holder("--net");
    const lists: Namespace[][] = [
      fresh("mount", "time"),
      fresh("mount", "user", "time"),
      [...fresh("mount", "user", "time"), { type: "network", path: host.path("net") }],
    ];
    for (const list of lists) {
      const { stdout, exitCode } = await inNamespaces(list, script);
      const [uptime, namespace, monotonic, boottime] = stdout.split("\n");
      expect(exitCode).toBe(0);
      expect(Number(uptime)).toBeGreaterThan(2_000_000);
      expect(namespace).not.toBe(own("time"));
      expect(monotonic?.split(/\s+/)).toEqual(["monotonic", "1000", "0"]);
      expect(boottime?.split(/\s+/)).toEqual(["boottime", "2000000", "0"]);
    }
  });
});

describe("offsets of clocks", () => {
  const steps = (offsets: Parameters<typeof addTimeNamespace>[1]) => {
    const builder = new PlanBuilder();
    addTimeNamespace(builder, offsets);
    return builder.steps.map(showCall);
  };

  test("are written before the namespace is entered", () => {
    expect(steps({ boottime: { secs: -5, nanosecs: 7 } })).toEqual([
      "unshare(CLONE_NEWTIME)",
      'openat(AT_FDCWD, "/proc/self/timens_offsets", O_WRONLY|O_CLOEXEC) → time offsets',
      'write(‹time offsets›, "boottime -5 7\n", 14)'.replace("\n", "\\n"),
      "close(‹time offsets›)",
      'openat(AT_FDCWD, "/proc/self/ns/time_for_children", O_RDONLY|O_CLOEXEC) → time namespace',
      "setns(‹time namespace›, CLONE_NEWTIME)",
      "close(‹time namespace›)",
    ]);
    expect(steps({})).toHaveLength(4);
  });

  test.each([
    [{ realtime: { secs: 1 } }, "linux.timeOffsets.realtime: no clock that can be offset"],
    [{ monotonic: { secs: 1.5 } }, "linux.timeOffsets.monotonic.secs: 1.5 is no whole number"],
    [{ boottime: { nanosecs: 1e9 } }, "linux.timeOffsets.boottime.nanosecs: 1000000000 is not from 0"],
  ])("%j is refused", (offsets: Parameters<typeof addTimeNamespace>[1], message) => {
    expect(() => steps(offsets)).toThrow(message);
  });

  test("are refused without a namespace of their own", () => {
    const time = { namespaceAt: () => ({ type: CLONE_NEWTIME, isOwn: false }) };
    const offsets = { monotonic: { secs: 1 } };
    const check = (list: Namespace[]) => () => checkTimeOffsets(offsets, planNamespaces(list, time));
    expect(check(fresh("mount"))).toThrow("linux.timeOffsets: only a time namespace has offsets");
    expect(check(joined("time"))).toThrow("linux.timeOffsets: the offsets of a namespace that is joined");
    expect(check(fresh("time"))).not.toThrow();
    expect(() => checkTimeOffsets({}, planNamespaces([], time))).not.toThrow();
  });
});

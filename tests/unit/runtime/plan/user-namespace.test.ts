import { describe, expect, test } from "bun:test";
import { readFileSync, readlinkSync } from "node:fs";
import { CLONE_NEWNET, CLONE_NEWUSER } from "../../../../src/linux/constants.ts";
import { errnos } from "../../../../src/linux/errno.ts";
import { createPipe } from "../../../../src/linux/fd.ts";
import { namespaceAt } from "../../../../src/linux/namespace.ts";
import { writeIdMappings } from "../../../../src/linux/user-namespace.ts";
import type { Namespace, NamespaceType } from "../../../../src/oci/runtime-spec.ts";
import { PlanBuilder } from "../../../../src/runtime/plan/builder.ts";
import { addNamespaces } from "../../../../src/runtime/plan/namespaces.ts";
import { addUserNamespaceSetup } from "../../../../src/runtime/plan/user-namespace.ts";
import { runPlan, shellSteps } from "../../../helpers/launched-plan.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn("skipped: joining and mapping namespaces needs root");

function fresh(...types: NamespaceType[]): Namespace[] {
  return types.map((type) => ({ type }));
}

const someOffsets = { monotonic: { secs: 1000 }, boottime: { secs: 2_000_000 } };
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

describe.skipIf(!isRoot)("namespaces that the kernel makes and joins", () => {
  /** Runs a script in the namespaces, as a launcher does. */
  async function inNamespaces(list: Namespace[], script: string, change: { mapped?: boolean; deny?: boolean } = {}) {
    using go = createPipe();
    const builder = new PlanBuilder();
    const offsets = list.some(({ type }) => type === "time") ? someOffsets : {};
    const plan = addNamespaces(builder, list, offsets, { namespaceAt, users: true });
    const mapsIds = (plan.made & CLONE_NEWUSER) !== 0;
    const denySetgroups = change.deny === true;
    addUserNamespaceSetup(builder, plan, { release: go.reader.number, denySetgroups });
    return await runPlan({
      namespaces: plan.flags,
      tellsChild: plan.tellsChild,
      descriptors: [go.reader.number],
      steps: [...builder.steps, ...shellSteps(script)],
      meanwhile(pid) {
        const mapping = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
        if (mapsIds && change.mapped !== false) writeIdMappings(pid, mapping, mapping, { denySetgroups });
        go.writer.close();
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

  test("a pid namespace is joined by a child", async () => {
    await using other = await holder("--pid", "--fork");
    const list: Namespace[] = [{ type: "mount" }, { type: "pid", path: other.path("pid") }];
    const { stdout, exitCode } = await inNamespaces(list, "echo $$; readlink /proc/self/ns/pid");
    expect(exitCode).toBe(0);
    // The host's /proc, which the shell's children look at, shows the host's numbers.
    expect(stdout).toBe(`2\n${readlinkSync(other.path("pid"))}\n`);
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

  test("what is made with a user namespace is its root's", async () => {
    const script = "mkdir /tmp/queues && mount -t mqueue queues /tmp/queues && stat -c %u:%g /tmp/queues";
    const { stdout } = await inNamespaces(fresh("user", "mount", "ipc"), `mount -t tmpfs none /tmp; ${script}`);
    expect(stdout).toBe("0:0\n");
  });

  test("a new user namespace without setgroups says so", async () => {
    const { stdout } = await inNamespaces(fresh("user", "mount"), "id -u; cat /proc/self/setgroups", { deny: true });
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
    const builder = new PlanBuilder();
    addNamespaces(builder, [{ type: "network", path: other.path("uts") }, { type: "mount" }], {}, lying);
    const { outcome } = await runPlan({ steps: builder.steps });
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

test("a container without a user namespace has nobody to become, and a new one somebody to wait for", () => {
  const builder = new PlanBuilder();
  addUserNamespaceSetup(builder, addNamespaces(builder, fresh("mount", "pid")), {});
  expect(builder.steps).toEqual([]);
  const plan = addNamespaces(builder, fresh("mount", "user"), {}, { users: true });
  expect(() => addUserNamespaceSetup(builder, plan, {})).toThrow(RangeError);
});

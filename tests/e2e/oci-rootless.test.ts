import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chownSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Linux, Namespace } from "../../src/oci/runtime-spec.ts";
import { detectCgroups } from "../../src/runtime/cgroup/detect.ts";
import { type BundleChange, canRunBundles, OciSandbox } from "../helpers/bundle.ts";
import { DelegatedCgroup } from "../helpers/delegated-cgroup.ts";
import { asUser, mayMakeNamespaces, user, UsersSandbox } from "../helpers/ordinary-user.ts";
import { success } from "../helpers/runner.ts";
import { TerminalSession } from "../helpers/terminal-session.ts";

const canRun = canRunBundles && mayMakeNamespaces;
if (canRunBundles && !canRun) console.warn("containers without root are not tested: users may make no user namespaces");

let sandbox: OciSandbox;
let users: UsersSandbox;
beforeAll(async () => {
  if (!canRun) return;
  sandbox = await OciSandbox.create();
  users = new UsersSandbox(sandbox);
});
afterAll(() => sandbox?.[Symbol.asyncDispose]());

const linesOf = (text: string) => text.split("\n").map((line) => line.trim().replaceAll(/\s+/g, " "));

describe.skipIf(!canRun)("a container of an ordinary user's", () => {
  test("has that user as root, nobody else, the host's devices, and the usual file systems", async () => {
    const script = [
      "id -u; id -g; echo $$; cat /proc/self/uid_map /proc/self/setgroups",
      "echo x > /dev/null; cat /dev/null; test -c /dev/tty && stat -c '%u %a' /dev/zero",
      "wc -c < /proc/keys; ls /sys/firmware; test -d /sys/fs/cgroup && stat -c %a /dev/shm",
      "hostname; grep CapEff /proc/self/status; touch /x",
    ].join("\n");
    const { stdout, stderr, exitCode } = await users.run(script);
    expect({ stderr, exitCode }).toEqual({ stderr: "touch: /x: Read-only file system\n", exitCode: 1 });
    expect(linesOf(stdout)).toEqual([
      "0",
      "0",
      "1",
      `0 ${user} 1`,
      "deny",
      "65534 666",
      "0",
      "1777",
      "gocker",
      "CapEff: 0000000020000420",
      "",
    ]);
  });

  test("is created, entered, started and deleted; what takes a cgroup is refused", async () => {
    const bundle = users.bundle({ process: { args: ["sleep", "1000"] } });
    expect(await users.oci(["create", "--bundle", bundle, "life"])).toEqual(success(""));
    expect(await sandbox.state("life")).toMatchObject({ status: "created", owner: String(user) });
    // Its first process still waits: its maker has to be able to look into it.
    expect(await users.oci(["exec", "life", "cat", "/proc/1/comm"])).toMatchObject({ stderr: "", exitCode: 0 });
    expect(await users.oci(["start", "life"])).toEqual(success(""));
    expect(await users.oci(["exec", "life", "sh", "-c", "id -u; cat /proc/1/comm"])).toEqual(success("0\nsleep\n"));
    for (const verb of [["pause"], ["ps"], ["update", "--pids-limit", "5"], ["events", "--stats"]]) {
      const { stderr, exitCode } = await users.oci([...verb, "life"]);
      expect(stderr).toStartWith("gocker: the container has no cgroup, without which ");
      expect(stderr).toMatch(/: permission denied \(EACCES\)|: no right to write to /);
      expect(exitCode).toBe(1);
    }
    const { stderr } = await users.oci(["exec", "--user", "5", "life", "true"]);
    expect(stderr).toContain("process.user.uid: 5 is not in linux.uidMappings");
    expect((await users.oci(["delete", "life"])).exitCode).toBe(1);
    expect(await users.oci(["delete", "--force", "life"])).toEqual(success(""));
    expect(await users.oci(["list", "--quiet"])).toEqual(success(""));
  });

  test("joins the namespaces of another one by their paths", async () => {
    const other = ["run", "--detach", "--bundle", users.bundle({ process: { args: ["sleep", "1000"] } }), "other"];
    expect(await users.oci(other)).toEqual(success(""));
    const { pid } = await sandbox.state("other");
    const joined = (["user", "ipc", "pid"] as const).map((type): Namespace => ({
      type,
      path: `/proc/${pid}/ns/${type}`,
    }));
    const linux: Linux = {
      namespaces: [...joined, { type: "mount" }, { type: "uts" }],
      uidMappings: [],
      gidMappings: [],
    };
    const { stdout, stderr, exitCode } = await users.run("id -u; cat /proc/1/comm", { linux });
    expect({ stdout, exitCode }).toEqual({ stdout: "0\nsleep\n", exitCode: 0 });
    expect(stderr).toContain("warning: with neither a cgroup nor a pid namespace of its own");
    expect(await users.oci(["delete", "--force", "other"])).toEqual(success(""));
  });

  test("runs hooks with the user's rights, and those in the container with its root's", async () => {
    const file = join(sandbox.directory, "hooks");
    const hook = (kind: string) => {
      const script = `echo ${kind} $(id -u) $PWD >> ${file}; cat > /dev/null`;
      return [{ path: "/bin/sh", args: ["sh", "-c", script], env: ["PATH=/usr/bin:/bin"] }];
    };
    const kinds = ["createRuntime", "createContainer", "poststart", "poststop"] as const;
    const hooks = Object.fromEntries(kinds.map((kind) => [kind, hook(kind)]));
    expect(await users.run("true", { spec: { hooks } })).toEqual(success(""));
    expect(
      readFileSync(file, "utf8")
        .split("\n")
        .map((line) => line.split(" ").slice(0, 2).join(" ")),
    ).toEqual([`createRuntime ${user}`, "createContainer 0", `poststart ${user}`, `poststop ${user}`, ""]);
  });

  test("has a terminal of its own", async () => {
    const process = { args: ["sh", "-c", "tty; stat -c %u /dev/console"], terminal: true };
    const command = [...asUser, users.binary, "oci", "--root", sandbox.stateRoot, "run"];
    await using session = new TerminalSession([...command, "--bundle", users.bundle({ process }), "users"], {
      PATH: "/usr/bin:/bin",
    });
    await session.expect("/dev/pts/0\n0\n");
    expect(await session.process.exited).toBe(0);
  });

  test.each<[what: string, change: BundleChange, message: string | RegExp]>([
    [
      "no user namespace",
      { linux: { namespaces: [{ type: "mount" }, { type: "pid" }], uidMappings: [], gidMappings: [] } },
      "linux.namespaces: without root, a container needs a user namespace of its own",
    ],
    ["limits", { linux: { resources: { pids: { limit: 5 } } } }, /linux\.resources: (?:cgroups|processes) cannot be /],
    ["a cgroup of its choice", { linux: { cgroupsPath: "/gocker-of-root/x" } }, "cgroups cannot be made here: mkdirat"],
    [
      "further groups",
      { process: { user: { uid: 0, gid: 0, additionalGids: [0] } } },
      "process.user.additionalGids: nobody can set groups in a user namespace",
    ],
    [
      "a filled tmpfs",
      { spec: { mounts: [{ destination: "/etc", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"] }] } },
      "mounts[0]: tmpcopyup",
    ],
    [
      "IDs of others",
      { linux: { uidMappings: [{ containerID: 0, hostID: 0, size: 1 }] } },
      /cannot be mapped: newuidmap|takes newuidmap/,
    ],
    [
      "a lower out-of-memory score",
      { process: { oomScoreAdj: -500 } },
      "gocker does not run as root, which may be why",
    ],
  ])("%s is refused", async (_what, change, message) => {
    const { stdout, stderr, exitCode } = await users.run("echo ran", change);
    expect(stderr).toMatch(message);
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 1 });
  });

  test("keeps its state where the user's sessions have theirs", async () => {
    const runtime = join(sandbox.directory, "runtime");
    mkdirSync(runtime, { mode: 0o700 });
    chownSync(runtime, user, user);
    // A container that waits keeps its standard descriptors: nobody must wait for the end of a pipe.
    const oci = (words: readonly string[], stdout: "ignore" | "pipe" = "ignore") =>
      Bun.spawnSync([...asUser, users.binary, "oci", ...words], {
        env: { XDG_RUNTIME_DIR: runtime, PATH: "/usr/bin:/bin" },
        stdio: ["ignore", stdout, "inherit"],
      });
    const bundle = users.bundle({ process: { args: ["true"] } });
    expect(oci(["create", "--bundle", bundle, "mine"]).exitCode).toBe(0);
    expect(existsSync(join(runtime, "gocker/oci/mine/state.json"))).toBe(true);
    expect(statSync(join(runtime, "gocker")).mode & 0o7777).toBe(0o1700);
    expect(oci(["list", "-q"], "pipe").stdout?.toString()).toBe("mine\n");
    expect(oci(["delete", "-f", "mine"]).exitCode).toBe(0);
    const nowhere = { env: { XDG_RUNTIME_DIR: "/nowhere" }, stdin: "ignore" } as const;
    expect(Bun.spawnSync([...asUser, users.binary, "oci", "features"], nowhere).exitCode).toBe(0);
    const { stderr, exitCode } = Bun.spawnSync([...asUser, users.binary, "oci", "list"], nowhere);
    expect(stderr.toString()).toContain("the containers' states cannot be kept in /nowhere/gocker: ");
    expect(exitCode).toBe(1);
  });

  test("is limited, paused and listed in a part of the cgroups that is the user's", async () => {
    using delegated = new DelegatedCgroup(user);
    const cgroupsPath = `${delegated.path}/container`;
    const limited = { linux: { cgroupsPath, resources: { pids: { limit: 20 } } } };
    const bundle = users.bundle({ process: { args: ["sleep", "1000"] }, ...limited });
    const oci = (...rest: string[]) => users.oci(rest, delegated.within);
    expect(await oci("run", "--detach", "--bundle", bundle, "limited")).toEqual(success(""));
    expect(delegated.read("container", "pids.max")).toBe("20");
    expect(await oci("update", "--pids-limit", "10", "limited")).toEqual(success(""));
    expect(delegated.read("container", "pids.max")).toBe("10");
    const { pid } = await sandbox.state("limited");
    expect(await oci("ps", "--format", "json", "limited")).toEqual(success(`[${pid}]\n`));
    expect(await oci("pause", "limited")).toEqual(success(""));
    expect((await sandbox.state("limited")).status).toBe("paused");
    expect(await oci("resume", "limited")).toEqual(success(""));
    const inside = await oci("exec", "limited", "cat", "/proc/self/cgroup");
    expect(inside.stdout).toContain(cgroupsPath);
    // From elsewhere a process may not be put in there.
    const { stdout, stderr } = await users.oci(["exec", "limited", "id", "-u"]);
    expect(stdout).toBe("0\n");
    if (detectCgroups().v2 !== undefined) expect(stderr).toContain("the process is not in the container's cgroup");
    expect(await oci("delete", "--force", "limited")).toEqual(success(""));
    expect(delegated.exists("container")).toBe(false);
  });
});

const helpers = existsSync("/usr/bin/newuidmap") && existsSync("/usr/bin/newgidmap");
if (canRun && !helpers) console.warn("subordinate IDs are not tested: that needs newuidmap and newgidmap");

describe.skipIf(!canRun || !helpers)("with subordinate IDs", () => {
  const mappings = [
    { containerID: 0, hostID: user, size: 1 },
    { containerID: 1, hostID: 700_000, size: 1000 },
  ];
  const many: Linux = { uidMappings: mappings, gidMappings: mappings };
  /** In mounts of its own, where the files that name the IDs, and users, are these. */
  function owning(ranges: string): string[] {
    const [passwd, subordinate] = ["passwd", "subid"].map((name) => join(sandbox.directory, name));
    writeFileSync(passwd as string, `tester:x:${user}:${user}::/:/bin/sh\nroot:x:0:0::/root:/bin/sh\n`);
    writeFileSync(subordinate as string, ranges);
    const mounts = [
      `mount --bind ${passwd} /etc/passwd`,
      `mount --bind ${subordinate} /etc/subuid && mount --bind ${subordinate} /etc/subgid`,
    ];
    return ["unshare", "--mount", "sh", "-c", `${mounts.join(" && ")} && exec "$@"`, "sh"];
  }

  test("newuidmap and newgidmap map them, and groups can be set", async () => {
    const process = { user: { uid: 5, gid: 6, additionalGids: [7] } };
    const script = "id -u; id -g; id -G; cat /proc/self/setgroups /proc/self/uid_map";
    const { stdout, stderr, exitCode } = await users.run(
      script,
      { linux: many, process },
      owning("tester:700000:1000\n"),
    );
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    expect(linesOf(stdout)).toEqual(["5", "6", "6 7", "allow", `0 ${user} 1`, "1 700000 1000", ""]);
  });

  test("another user waits for its start, and can be entered", async () => {
    const change = { linux: many, process: { args: ["sleep", "1000"], user: { uid: 5, gid: 6 } } };
    const create = ["create", "--bundle", users.bundle(change), "waiting"];
    expect(await users.oci(create, owning("tester:700000:1000\n"))).toEqual(success(""));
    expect(await users.oci(["exec", "--user", "8:9", "-g", "10", "waiting", "id", "-G"])).toEqual(success("9 10\n"));
    expect(await users.oci(["delete", "--force", "waiting"])).toEqual(success(""));
  });

  test("those of others are refused", async () => {
    const { stderr, exitCode } = await users.run("true", { linux: many }, owning("tester:800000:1000\n"));
    expect(stderr).toContain("the IDs of the user namespace cannot be mapped: newuidmap: uid range [1-1001)");
    expect(stderr).toContain("hint: /etc/subuid names the IDs");
    expect(exitCode).toBe(1);
  });
});

describe.skipIf(!canRun)("--rootless", () => {
  /** Where no cgroup can be made, in mounts of its own. */
  const withoutCgroups = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    `for m in $(grep cgroup /proc/self/mounts | cut -d ' ' -f 2); do mount -o remount,bind,ro $m; done; exec "$@"`,
    "sh",
  ];
  const run = (rootless: string) => {
    const bundle = sandbox.bundle({ process: { args: ["cat", "/proc/self/cgroup"] }, linux: { resources: {} } });
    return sandbox.oci([`--rootless=${rootless}`, "run", "--bundle", bundle, "root"], { by: withoutCgroups });
  };

  test("true lets root's containers go without a cgroup where none can be made", async () => {
    const { stdout, stderr, exitCode } = await run("true");
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    expect(stdout).not.toContain("gocker");
  });

  test.each(["auto", "false"])("%s does not", async (rootless) => {
    const { stderr, exitCode } = await run(rootless);
    expect(stderr).toContain("cgroups cannot be made here");
    expect(exitCode).toBe(1);
  });

  test("a user namespace's root makes containers without another one", async () => {
    const bundle = sandbox.bundle({
      process: { args: ["sh", "-c", "id -u; echo x > /dev/null; stat -c %u /dev/null; wc -c < /proc/keys"] },
      linux: { resources: {}, namespaces: (["pid", "ipc", "uts", "mount"] as const).map((type) => ({ type })) },
      spec: { mounts: [...rootlessMounts()] },
    });
    const by = [...asUser, "unshare", "--map-root-user", "--mount"];
    const outcome = await sandbox.oci(["run", "--bundle", bundle, "nested"], { by, binary: users.binary });
    expect(outcome).toEqual(success("0\n65534\n0\n"));
  });
});

function rootlessMounts() {
  const text = readFileSync(join(users.bundle(), "config.json"), "utf8");
  return (JSON.parse(text) as { mounts: { destination: string; type: string; source: string }[] }).mounts;
}

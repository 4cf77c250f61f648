import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { errnos } from "../../src/linux/errno.ts";
import type { Process, Seccomp } from "../../src/oci/runtime-spec.ts";
import { type BundleChange, canRunBundles, OciSandbox } from "../helpers/bundle.ts";
import { until } from "../helpers/until.ts";
import { canAnswer, SeccompAgent } from "../helpers/seccomp-agent.ts";

const making = ["mkdir", "mkdirat"] as const;
/** What the agent answers to them. */
const refused = { mkdir: errnos.ENOMEDIUM, mkdirat: errnos.ENOMEDIUM };
const tryToMake = "mkdir /made 2>&1";
const answered = "mkdir: can't create directory '/made': No medium found\n";

describe.skipIf(!canRunBundles || !canAnswer)("filters that notify", () => {
  let sandbox: OciSandbox;
  let socket: string;
  beforeAll(async () => {
    sandbox = await OciSandbox.create();
    Bun.spawnSync(["ln", "-s", "busybox", join(sandbox.directory, "rootfs/bin/mkdir")]);
    socket = join(sandbox.directory, "agent.sock");
  });
  // One that a test has left, because it failed, is no other test's matter.
  afterEach(() => sandbox?.oci(["delete", "--force", "asked"]));
  afterAll(() => sandbox?.[Symbol.asyncDispose]());

  async function withAgent<T>(
    act: (agent: SeccompAgent) => Promise<T>,
    answers: Readonly<Record<string, number>> = refused,
  ): Promise<T> {
    Bun.spawnSync(["rm", "-f", socket]);
    await using agent = await SeccompAgent.start(socket, answers);
    return await act(agent);
  }

  /** A container whose filter notifies of these calls and lets all others through, unless told. */
  function notifying(names: readonly string[], change: BundleChange = {}, filter: Partial<Seccomp> = {}): string {
    const seccomp: Seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      listenerPath: socket,
      syscalls: [{ names: [...names], action: "SCMP_ACT_NOTIFY" }],
      ...filter,
    };
    const process = { args: ["sh", "-c", tryToMake], ...change.process };
    return sandbox.bundle({ ...change, process, linux: { ...change.linux, seccomp } });
  }

  const run = (bundle: string) => sandbox.oci(["run", "--bundle", bundle, "asked"]);

  const processes: [string, Partial<Process>][] = [
    ["root without no_new_privs", { noNewPrivileges: false }],
    ["root with no_new_privs", { noNewPrivileges: true }],
    ["a user without no_new_privs", { noNewPrivileges: false, user: { uid: 1000, gid: 1000 } }],
    ["a user with no_new_privs", { noNewPrivileges: true, user: { uid: 1000, gid: 1000 } }],
  ];

  test.each(processes)("the agent answers for %s", async (_, process) => {
    await withAgent(async (agent) => {
      const bundle = notifying(making, { process });
      expect(await run(bundle)).toEqual({ stdout: answered, stderr: "", exitCode: 1 });
      expect(agent.notified(...making)).toHaveLength(1);
      await agent.until((events) => events.some(({ end }) => end !== undefined));
    });
  });

  test("it is told of the container when that is created, and answers for it from then on", async () => {
    await withAgent(async (agent) => {
      const spec = { annotations: { "org.example.key": "value" } };
      const bundle = notifying(making, { spec }, { listenerMetadata: "any=thing" });
      expect((await sandbox.oci(["create", "--bundle", bundle, "asked"])).stderr).toBe("");
      const { pid, status } = await sandbox.state("asked");
      expect(status).toBe("created");
      const state = {
        ociVersion: "1.2.0",
        id: "asked",
        status: "creating",
        pid,
        bundle,
        annotations: { "org.example.key": "value" },
      };
      await agent.until((events) => events.length > 1);
      expect(agent.events).toEqual([
        { state: { ociVersion: "1.2.0", fds: ["seccompFd"], pid, metadata: "any=thing", state }, descriptors: 1 },
        { closed: pid },
      ]);
      // Nothing but the three standard ones and the FIFO.
      const files = Bun.spawnSync(["ls", "-l", `/proc/${pid}/fd`]).stdout.toString();
      expect(files.match(/ -> /g)).toHaveLength(4);
      expect(files).not.toContain("anon_inode");
      expect(sandbox.gockers()).toEqual([]);
      expect(await sandbox.oci(["start", "asked"])).toMatchObject({ exitCode: 0 });
      await agent.until((events) => events.some(({ end }) => end === pid));
      expect(agent.notified(...making)).toHaveLength(1);
    });
  });

  test("exec and startContainer hooks have listeners of their own, and none of them has the descriptor", async () => {
    await withAgent(async (agent) => {
      const shared = join(sandbox.directory, "shared");
      writeFileSync(shared, "");
      // The fourth is the directory itself.
      const list = "ls /proc/self/fd | wc -l";
      const startContainer = [{ path: "/bin/sh", args: ["sh", "-c", `{ ${list}; ${tryToMake}; true; } > /shared`] }];
      const bundle = notifying(making, {
        process: { args: ["sleep", "1000"] },
        spec: {
          hooks: { startContainer },
          mounts: [
            { destination: "/proc", type: "proc", source: "proc" },
            { destination: "/shared", type: "bind", source: shared, options: ["bind"] },
          ],
        },
      });
      expect((await sandbox.oci(["run", "--detach", "--bundle", bundle, "asked"])).stderr).toBe("");
      expect(await Bun.file(shared).text()).toBe(`4\n${answered}`);
      const words = ["exec", "asked", "sh", "-c", `${list}; ${tryToMake}`];
      expect(await sandbox.oci(words)).toEqual({ stdout: `4\n${answered}`, stderr: "", exitCode: 1 });
      const { pid } = await sandbox.state("asked");
      const states = agent.states().map(({ pid: own, state }) => [own === pid, state]);
      expect(states).toMatchObject([
        [true, { status: "creating", pid }],
        [false, { status: "created", pid }],
        [false, { status: "running", pid }],
      ]);
      expect(agent.notified(...making)).toHaveLength(2);
    });
  });

  test.each([false, true])("in a user namespace, with no_new_privs %p", async (noNewPrivileges) => {
    await withAgent(async (agent) => {
      const mappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
      const types = ["pid", "network", "ipc", "uts", "mount", "user"] as const;
      const bundle = notifying(making, {
        process: { args: ["sleep", "1000"], noNewPrivileges },
        linux: { namespaces: types.map((type) => ({ type })), uidMappings: mappings, gidMappings: mappings },
      });
      expect((await sandbox.oci(["run", "--detach", "--bundle", bundle, "asked"])).stderr).toBe("");
      const words = ["exec", "asked", "sh", "-c", tryToMake];
      expect(await sandbox.oci(words)).toEqual({ stdout: answered, stderr: "", exitCode: 1 });
      expect(agent.states()).toHaveLength(2);
    });
  });

  test("what the plan itself still calls may be notified of", async () => {
    await withAgent(async (agent) => {
      const important = [
        "execve",
        "openat",
        "open",
        "read",
        "close",
        "close_range",
        "fcntl",
        "prctl",
        "capset",
        "ppoll",
      ];
      for (const noNewPrivileges of [false, true]) {
        const bundle = notifying(important, { process: { args: ["echo", "through"], noNewPrivileges } });
        expect(await run(bundle)).toEqual({ stdout: "through\n", stderr: "", exitCode: 0 });
      }
      expect(new Set(agent.notified("execve", "close", "read"))).toEqual(new Set(["close", "read", "execve"]));
    });
  });

  test("a filter that permits little else", async () => {
    await withAgent(async () => {
      const names =
        "access arch_prctl brk close dup2 execve exit exit_group fcntl fork fstat getcwd getpid getppid getuid geteuid " +
        "getgid getegid lstat mprotect newfstatat open prctl read readlink rt_sigaction rt_sigprocmask rt_sigreturn " +
        "set_robust_list set_tid_address stat umask uname vfork wait4 write";
      const bundle = notifying(
        [],
        { process: { noNewPrivileges: true } },
        {
          defaultAction: "SCMP_ACT_ERRNO",
          syscalls: [
            { names: names.split(" "), action: "SCMP_ACT_ALLOW" },
            { names: [...making], action: "SCMP_ACT_NOTIFY" },
          ],
        },
      );
      expect(await run(bundle)).toEqual({ stdout: answered, stderr: "", exitCode: 1 });
    });
  });

  test("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", async () => {
    await withAgent(async () => {
      const bundle = notifying(making, {}, { flags: ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"] });
      expect(await run(bundle)).toMatchObject({ stdout: answered, exitCode: 1 });
    });
  });

  test("without the agent the calls fail, and nobody waits", async () => {
    const bundle = notifying(making);
    await withAgent(async () => {
      expect((await sandbox.oci(["create", "--bundle", bundle, "asked"])).exitCode).toBe(0);
    });
    expect(await sandbox.oci(["start", "asked"])).toMatchObject({ exitCode: 0 });
    await until("the container ends", async () => (await sandbox.state("asked")).status === "stopped");
    expect(await sandbox.oci(["delete", "asked"])).toMatchObject({ exitCode: 0 });
    Bun.spawnSync(["rm", "-f", socket]);
    expect(await run(bundle)).toEqual({
      stdout: "",
      stderr: `gocker: linux.seccomp.listenerPath: failed to connect with seccomp agent: connect ${socket}: no such file or directory (ENOENT)\n`,
      exitCode: 1,
    });
    expect((await sandbox.oci(["list", "--quiet"])).stdout).toBe("");
  });

  test("an exec that nobody answers for does not begin", async () => {
    const bundle = notifying(making, { process: { args: ["sleep", "1000"] } });
    await withAgent(async () => {
      expect((await sandbox.oci(["run", "--detach", "--bundle", bundle, "asked"])).exitCode).toBe(0);
    });
    const { stdout, stderr, exitCode } = await sandbox.oci(["exec", "asked", "echo", "begun"]);
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 255 });
    expect(stderr).toContain("linux.seccomp.listenerPath: failed to connect with seccomp agent: ");
    expect((await sandbox.oci(["ps", "--format", "json", "asked"])).stdout.trim()).toMatch(/^\[\d+\]$/);
  });

  const wrong: [string, Partial<Seccomp>, string][] = [
    [
      "no path",
      { listenerPath: "" },
      "linux.seccomp.listenerPath is missing: SCMP_ACT_NOTIFY needs somebody to be asked",
    ],
    [
      "metadata for nobody",
      { listenerPath: "", listenerMetadata: "x", syscalls: [] },
      "linux.seccomp.listenerMetadata must not be set without linux.seccomp.listenerPath",
    ],
    [
      "write",
      { syscalls: [{ names: ["write"], action: "SCMP_ACT_NOTIFY" }] },
      "linux.seccomp.syscalls[0].action: SCMP_ACT_NOTIFY cannot be used for the write syscall",
    ],
    [
      "everything",
      { defaultAction: "SCMP_ACT_NOTIFY" },
      "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be the default seccomp action",
    ],
  ];

  test.each(wrong)("refused: %s", async (_, filter, message) => {
    const { stderr, exitCode } = await run(notifying(making, {}, filter));
    expect({ message: stderr.split("\n")[0], exitCode }).toEqual({ message: `gocker: ${message}`, exitCode: 1 });
  });

  test("a path that nobody needs is ignored", async () => {
    const bundle = notifying([], { process: { args: ["echo", "fine"] } }, { syscalls: [], listenerMetadata: "x" });
    expect(await run(bundle)).toEqual({ stdout: "fine\n", stderr: "", exitCode: 0 });
  });
});

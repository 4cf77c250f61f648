import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Hook, Hooks } from "../../src/oci/runtime-spec.ts";
import { canRunBundles, OciSandbox } from "../helpers/bundle.ts";

describe.skipIf(!canRunBundles)("hooks", () => {
  let sandbox: OciSandbox;
  let record: string;
  beforeAll(async () => {
    sandbox = await OciSandbox.create();
    record = join(sandbox.directory, "record");
  });
  afterAll(() => sandbox?.[Symbol.asyncDispose]());

  const kinds = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] as const;
  const mounts = () => [
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/tmp", type: "bind", source: sandbox.directory, options: ["rbind"] },
  ];

  /** Notes its kind, the namespace of mounts that it is in, and the state that it reads. */
  function noting(kind: (typeof kinds)[number], file: string): Hook {
    const script = `echo "${kind} $(readlink /proc/self/ns/mnt) $(cat)" >> ${file}`;
    return { path: "/bin/sh", args: ["sh", "-c", script], env: ["PATH=/bin:/usr/bin"] };
  }

  test("all run, in order, each in its namespace, with the state to read", async () => {
    rmSync(record, { force: true });
    const hooks: Hooks = {};
    for (const kind of kinds) hooks[kind] = [noting(kind, kind === "startContainer" ? "/tmp/record" : record)];
    const bundle = sandbox.bundle({ process: { args: ["true"] }, spec: { hooks, mounts: mounts() } });
    const outcome = await sandbox.oci(["run", "--bundle", bundle, "hooked"]);
    expect(outcome).toEqual({ stdout: "", stderr: "", exitCode: 0 });
    const lines = readFileSync(record, "utf8").trimEnd().split("\n");
    const notes = lines.map((line) => {
      const [kind, namespace, ...state] = line.split(" ");
      return { kind, namespace, state: JSON.parse(state.join(" ")) as Record<string, unknown> };
    });
    expect(notes.map(({ kind }) => kind)).toEqual([...kinds]);
    const own = statSync("/proc/self/ns/mnt").ino;
    const inContainer = notes.filter(({ namespace }) => namespace !== `mnt:[${own}]`).map(({ kind }) => kind);
    expect(inContainer).toEqual(["createContainer", "startContainer"]);
    expect(notes.map(({ state }) => state["status"])).toEqual([
      "created",
      "creating",
      "creating",
      "created",
      "running",
      "stopped",
    ]);
    for (const { state } of notes) expect(state).toMatchObject({ ociVersion: "1.2.0", id: "hooked", bundle });
    expect(notes.map(({ state }) => state["pid"] === 0)).toEqual([false, false, false, false, false, true]);
  });

  test("createContainer hooks begin in the container's root directory, where its mounts are", async () => {
    const script = "pwd; cat dev/shm/../../etc/passwd | head -n 1; stat -f -c %T dev";
    const hooks = { createContainer: [{ path: "/bin/sh", args: ["sh", "-c", `(${script}) > ${record}`] }] };
    const bundle = sandbox.bundle({ process: { args: ["true"] }, spec: { hooks } });
    expect(await sandbox.oci(["run", "--bundle", bundle, "hooked"])).toMatchObject({ stderr: "", exitCode: 0 });
    expect(readFileSync(record, "utf8")).toBe(`${sandbox.rootfs}\nroot:x:0:0::/root:/bin/sh\ntmpfs\n`);
  });

  const failing: Hook = { path: "/bin/sh", args: ["sh", "-c", "echo because >&2; exit 3"] };

  test.each(["prestart", "createRuntime", "createContainer"] as const)(
    "a %s hook that fails ends the creation, and the hooks for the end run",
    async (kind) => {
      rmSync(record, { force: true });
      const hooks = { [kind]: [failing], poststop: [noting("poststop", record)] };
      const bundle = sandbox.bundle({ process: { args: ["true"] }, spec: { hooks } });
      expect(await sandbox.oci(["create", "--bundle", bundle, "failed"])).toEqual({
        stdout: "",
        stderr: `gocker: error running ${kind} hook #0: /bin/sh ended with exit code 3: because\n`,
        exitCode: 1,
      });
      expect(readFileSync(record, "utf8")).toStartWith("poststop ");
      expect(existsSync(join(sandbox.stateRoot, "failed"))).toBe(false);
    },
  );

  test("a startContainer hook that fails keeps the program from beginning", async () => {
    const bundle = sandbox.bundle({
      process: { args: ["echo", "begun"] },
      spec: { hooks: { startContainer: [failing] } },
    });
    expect(await sandbox.oci(["run", "--bundle", bundle, "failed"])).toMatchObject({
      stdout: "",
      stderr: "gocker: error running startContainer hook #0: /bin/sh ended with exit code 3: because\n",
      exitCode: 1,
    });
    expect(existsSync(join(sandbox.stateRoot, "failed"))).toBe(false);
  });

  test("a startContainer hook, whose file the image has brought, may do what the program may", async () => {
    const shared = join(sandbox.directory, "shared");
    writeFileSync(shared, "");
    chmodSync(shared, 0o666);
    const lines = "^(Uid|Groups|Cap.*|NoNewPrivs|Seccomp):";
    const facts = `{ grep -E '${lines}' /proc/self/status; pwd; cut -d: -f3 /proc/self/cgroup | tail -n1; ulimit -n; }`;
    const hook = { path: "/bin/sh", args: ["sh", "-c", `${facts} >> /shared; echo >> /shared`] };
    const bundle = sandbox.bundle({
      process: {
        args: ["sh", "-c", `${facts} >> /shared`],
        user: { uid: 1000, gid: 1000, additionalGids: [7] },
        cwd: "/etc",
        rlimits: [{ type: "RLIMIT_NOFILE", soft: 64, hard: 64 }],
      },
      linux: {
        seccomp: { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_ERRNO" }] },
      },
      spec: {
        hooks: { startContainer: [hook] },
        mounts: [...mounts(), { destination: "/shared", type: "bind", source: shared, options: ["bind"] }],
      },
    });
    expect(await sandbox.oci(["run", "--bundle", bundle, "hooked"])).toEqual({ stdout: "", stderr: "", exitCode: 0 });
    const [ofHook, ofProgram] = readFileSync(shared, "utf8").trimEnd().split("\n\n");
    expect(ofHook).toBe(ofProgram as string);
    expect(ofHook).toContain("Uid:\t1000\t1000\t1000\t1000");
    expect(ofHook).toMatch(/Seccomp:\t2\n\/etc\n\/.*\n64$/);
  });

  test("a hook that says more than fits into memory is told of by its last words", async () => {
    const verbose = { path: "/bin/sh", args: ["sh", "-c", "yes | head -c 50000000; echo the end >&2; exit 1"] };
    const bundle = sandbox.bundle({ process: { args: ["true"] }, spec: { hooks: { prestart: [verbose] } } });
    const { stderr, exitCode } = await sandbox.oci(["run", "--bundle", bundle, "verbose"]);
    expect(exitCode).toBe(1);
    expect(stderr).toEndWith("y\nthe end\n");
    expect(stderr.length).toBeLessThan(1200);
  });

  test("a time that is longer than timers go is no time at all", async () => {
    const patient = { path: "/bin/true", timeout: 2 ** 31 };
    const bundle = sandbox.bundle({ process: { args: ["true"] }, spec: { hooks: { prestart: [patient] } } });
    expect(await sandbox.oci(["run", "--bundle", bundle, "patient"])).toEqual({ stdout: "", stderr: "", exitCode: 0 });
  });

  test.each(["startContainer", "poststart"] as const)(
    "a %s hook that fails at start ends the container",
    async (kind) => {
      const bundle = sandbox.bundle({ process: { args: ["sleep", "1000"] }, spec: { hooks: { [kind]: [failing] } } });
      expect(await sandbox.oci(["create", "--bundle", bundle, "failed"])).toMatchObject({ exitCode: 0 });
      const { pid } = await sandbox.state("failed");
      expect(await sandbox.oci(["start", "failed"])).toEqual({
        stdout: "",
        stderr: `gocker: error running ${kind} hook #0: /bin/sh ended with exit code 3: because\n`,
        exitCode: 1,
      });
      expect(existsSync(join(sandbox.stateRoot, "failed"))).toBe(false);
      expect(existsSync(`/proc/${pid}/root/bin`)).toBe(false);
    },
  );

  test("a poststop hook that fails is told of, and nothing more", async () => {
    const bundle = sandbox.bundle({ process: { args: ["true"] }, spec: { hooks: { poststop: [failing] } } });
    expect(await sandbox.oci(["run", "--bundle", bundle, "failed"])).toEqual({
      stdout: "",
      stderr: "gocker: warning: error running poststop hook #0: /bin/sh ended with exit code 3: because\n",
      exitCode: 0,
    });
  });

  test("one that takes too long is killed, and one that does not exist is told of", async () => {
    const slow = { path: "/bin/sleep", args: ["sleep", "1000"], timeout: 1 };
    const bundle = sandbox.bundle({ process: { args: ["true"] }, spec: { hooks: { createRuntime: [slow] } } });
    expect(await sandbox.oci(["create", "--bundle", bundle, "slow"])).toMatchObject({
      stderr: "gocker: error running createRuntime hook #0: /bin/sleep took longer than 1 s and was killed\n",
      exitCode: 1,
    });
    const missing = sandbox.bundle({
      process: { args: ["true"] },
      spec: { hooks: { prestart: [{ path: "/no/such" }] } },
    });
    expect(await sandbox.oci(["create", "--bundle", missing, "absent"])).toMatchObject({
      stderr: "gocker: error running prestart hook #0: cannot run /no/such: no such file or directory\n",
      exitCode: 1,
    });
  });

  test("arguments are exactly those given, and the environment is the hook's own or the program's", async () => {
    const own = { path: "/bin/busybox", args: ["env"], env: ["ONLY=this"] };
    const show = (hook: Hook) => ({ ...hook, args: [...(hook.args ?? [])] });
    const script = `echo "$ONE" >> /tmp/record`;
    rmSync(record, { force: true });
    const inherited = { path: "/bin/sh", args: ["sh", "-c", script] };
    const hooks = { startContainer: [show(own), inherited] };
    const process = { args: ["true"], env: ["PATH=/bin", "ONE=1"] };
    const bundle = sandbox.bundle({ process, spec: { hooks, mounts: mounts() } });
    expect(await sandbox.oci(["run", "--bundle", bundle, "environment"])).toMatchObject({ exitCode: 0 });
    expect(readFileSync(record, "utf8")).toBe("1\n");
  });
});

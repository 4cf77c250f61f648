import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RuntimeSpec } from "../../src/oci/runtime-spec.ts";
import { type BundleChange, canRunBundles, OciSandbox } from "../helpers/bundle.ts";
import { gockerBinary } from "../helpers/binary.ts";
import { success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

describe.skipIf(!canRunBundles)("the life of a container", () => {
  let sandbox: OciSandbox;
  beforeAll(async () => {
    sandbox = await OciSandbox.create();
  });
  afterAll(() => sandbox?.[Symbol.asyncDispose]());

  test("run prints what the program prints, ends as it ends, and leaves nothing", async () => {
    const args = ["sh", "-c", "echo out; echo err >&2; exit 7"];
    const outcome = await sandbox.oci(["run", "--bundle", sandbox.bundle({ process: { args } }), "once"]);
    expect(outcome).toEqual({ stdout: "out\n", stderr: "err\n", exitCode: 7 });
    expect(existsSync(join(sandbox.stateRoot, "once"))).toBe(false);
  });

  test("run --keep leaves it for delete", async () => {
    const bundle = sandbox.bundle({ process: { args: ["true"] } });
    expect(await sandbox.oci(["run", "--keep", "--bundle", bundle, "kept"])).toMatchObject({ exitCode: 0 });
    expect(await sandbox.state("kept")).toMatchObject({ status: "stopped", pid: 0 });
    expect(await sandbox.oci(["delete", "kept"])).toEqual({ stdout: "", stderr: "", exitCode: 0 });
  });

  test("is created as soon as it has a state", async () => {
    const bundle = sandbox.bundle({ process: { args: ["true"] } });
    const creation = sandbox.oci(["create", "--bundle", bundle, "soon"]);
    const state = async () => (await sandbox.oci(["state", "soon"])).stdout;
    let told = "";
    await until("it has a state", async () => (told = await state()) !== "");
    expect(JSON.parse(told)).toMatchObject({ status: "created" });
    expect(await creation).toEqual(success(""));
    expect(await sandbox.oci(["delete", "--force", "soon"])).toEqual(success(""));
  });

  test("created, started, killed, deleted", async () => {
    const pidFile = join(sandbox.directory, "pid");
    const marker = join(sandbox.directory, "begun");
    const mounts = [{ destination: "/tmp", type: "bind", source: sandbox.directory, options: ["rbind"] }];
    const bundle = sandbox.bundle({
      process: { args: ["sh", "-c", "touch /tmp/begun; exec sleep 1000"] },
      spec: { mounts },
    });
    // The specification is read once: what the bundle says later does not count.
    expect(await sandbox.oci(["create", "--bundle", bundle, "--pid-file", pidFile, "c"])).toMatchObject({
      exitCode: 0,
    });
    writeFileSync(join(bundle, "config.json"), "{}");
    const pid = Number(readFileSync(pidFile, "utf8"));
    expect(await sandbox.state("c")).toMatchObject({ status: "created", pid, bundle });
    expect(sandbox.gockers()).toEqual([]);
    expect(existsSync(marker)).toBe(false);
    // What waits is the stub, out of memory, and holds nothing but its standard descriptors and what it waits for.
    expect(readlinkSync(`/proc/${pid}/exe`)).toStartWith("/memfd:gocker");
    const open = readdirSync(`/proc/${pid}/fd`).filter((number) => Number(number) > 2);
    expect(open.map((number) => readlinkSync(`/proc/${pid}/fd/${number}`))).toEqual([
      `${sandbox.stateRoot}/c/exec.fifo`,
    ]);

    expect(await sandbox.oci(["start", "c"])).toEqual({ stdout: "", stderr: "", exitCode: 0 });
    await until("the program has begun", () => existsSync(marker));
    expect(await sandbox.state("c")).toMatchObject({ status: "running", pid });
    expect(await sandbox.oci(["start", "c"])).toMatchObject({
      stderr: "gocker: the container c is running: only one that was created can be started\n",
      exitCode: 1,
    });
    expect(await sandbox.oci(["delete", "c"])).toMatchObject({
      stderr: "gocker: the container c is running: kill it first, or delete it with --force\n",
      exitCode: 1,
    });
    expect(await sandbox.oci(["kill", "c", "0"])).toMatchObject({ exitCode: 0 });
    expect(await sandbox.oci(["kill", "c", "SIGKILL"])).toEqual({ stdout: "", stderr: "", exitCode: 0 });
    await until("it has ended", async () => (await sandbox.state("c")).status === "stopped");
    expect(await sandbox.oci(["kill", "c"])).toMatchObject({
      stderr: "gocker: the container c is stopped: container not running\n",
      exitCode: 1,
    });
    expect(await sandbox.oci(["delete", "c"])).toEqual({ stdout: "", stderr: "", exitCode: 0 });
    expect(await sandbox.oci(["state", "c"])).toMatchObject({
      stderr: "gocker: the container c does not exist\n",
      exitCode: 1,
    });
  });

  test("delete --force ends what lives, and does not mind what does not exist", async () => {
    const pid = await sandbox.runDetached("forced");
    expect(await sandbox.oci(["delete", "--force", "forced"])).toEqual({ stdout: "", stderr: "", exitCode: 0 });
    expect(existsSync(`/proc/${pid}/root/bin`)).toBe(false);
    expect(await sandbox.oci(["delete", "--force", "forced"])).toEqual({ stdout: "", stderr: "", exitCode: 0 });
    expect(await sandbox.oci(["delete", "forced"])).toMatchObject({ exitCode: 1 });
  });

  test("a program that only turns out to be none when it is executed says so itself", async () => {
    const file = (name: string, text: string) => {
      writeFileSync(join(sandbox.rootfs, "bin", name), text, { mode: 0o755 });
      return `/bin/${name}`;
    };
    file("garbage", "garbage");
    file("lost", "#!/no/such/interpreter\n");
    file("refused", "#!/etc/not-executable\n");
    const filter = (names: string[], errnoRet?: number) => ({
      seccomp: {
        defaultAction: "SCMP_ACT_ALLOW" as const,
        syscalls: [{ names, action: "SCMP_ACT_ERRNO" as const, ...(errnoRet !== undefined && { errnoRet }) }],
      },
    });
    const dark = Array.from({ length: 300 }, (_, index) => `/d${index}`).join(":");
    const programs: [change: BundleChange, stderr: string, exitCode: number][] = [
      [{ process: { args: ["/bin/garbage"] } }, "exec /bin/garbage: exec format error\n", 126],
      [{ process: { args: ["/bin/lost"] } }, "exec /bin/lost: no such file or directory\n", 127],
      [{ process: { args: ["/bin/refused"] } }, "exec /bin/refused: permission denied\n", 126],
      [
        { process: { args: ["garbage"], env: ["PATH=/etc:/bin:/nowhere"], user: { uid: 1000, gid: 1000 } } },
        "exec garbage: exec format error\n",
        126,
      ],
      [{ process: { args: ["true", "x".repeat(2 ** 17)] } }, "exec true: argument list too long\n", 126],
      [{ linux: filter(["execve"]) }, "exec true: operation not permitted\n", 126],
      // No kernel says that of an execution.
      [{ linux: filter(["execve"], 99) }, "exec true: cannot be executed\n", 126],
      [{ process: { args: ["/bin/garbage"] }, linux: filter(["write"]) }, "", 126],
      // More places than can be looked through again.
      [
        { process: { args: ["garbage"], env: [`PATH=${dark}:/bin`] } },
        "exec garbage: no such file or directory\n",
        127,
      ],
    ];
    for (const [change, stderr, exitCode] of programs) {
      const bundle = sandbox.bundle({ ...change, process: { args: ["true"], ...change.process } });
      expect(await sandbox.oci(["run", "--bundle", bundle, "none"])).toEqual({ stdout: "", stderr, exitCode });
    }
  });

  test("start says nothing of that, as the program's outputs are the container's", async () => {
    writeFileSync(join(sandbox.rootfs, "bin/garbage"), "garbage", { mode: 0o755 });
    const output = join(sandbox.directory, "output");
    const bundle = sandbox.bundle({ process: { args: ["/bin/garbage"] } });
    const words = [gockerBinary(), "oci", "--root", sandbox.stateRoot, "create", "--bundle", bundle, "none"];
    const create = Bun.spawn(words, { stdio: ["ignore", Bun.file(output), Bun.file(output)], env: {} });
    expect(await create.exited).toBe(0);
    expect(await sandbox.oci(["start", "none"])).toEqual({ stdout: "", stderr: "", exitCode: 0 });
    await until("it has ended", async () => (await sandbox.state("none")).status === "stopped");
    expect(readFileSync(output, "utf8")).toBe("exec /bin/garbage: exec format error\n");
    await sandbox.oci(["delete", "none"]);
  });

  test("an ID has one owner, and some are none", async () => {
    await sandbox.runDetached("owned");
    const bundle = sandbox.bundle({ process: { args: ["true"] } });
    const { stderr, exitCode } = await sandbox.oci(["run", "--bundle", bundle, "owned"]);
    expect({ stderr: stderr.split("\n")[0], exitCode }).toEqual({
      stderr: "gocker: a container with the ID owned exists already",
      exitCode: 1,
    });
    expect((await sandbox.state("owned")).status).toBe("running");
    await sandbox.oci(["delete", "--force", "owned"]);
    expect(await sandbox.oci(["run", "--bundle", bundle, "../x"])).toMatchObject({ exitCode: 1 });
    expect(existsSync(join(sandbox.stateRoot, "../x"))).toBe(false);
  });

  test("list tells of all, as a table, JSON or IDs", async () => {
    const pid = await sandbox.runDetached("listed");
    expect((await sandbox.oci(["list", "-q"])).stdout).toBe("listed\n");
    const { stdout } = await sandbox.oci(["list", "--format", "json"]);
    expect(JSON.parse(stdout)).toEqual([
      expect.objectContaining({ id: "listed", pid, status: "running", owner: "root" }),
    ]);
    expect((await sandbox.oci(["list"])).stdout).toMatch(
      /^ID +PID +STATUS +BUNDLE +CREATED +OWNER\nlisted +\d+ +running +\//,
    );
    await sandbox.oci(["delete", "--force", "listed"]);
    expect(await sandbox.oci(["--root", join(sandbox.directory, "nowhere"), "list"])).toMatchObject({ exitCode: 1 });
  });

  test("a paused container stands still, takes no further process, and can be killed", async () => {
    const pid = await sandbox.runDetached("paused");
    expect(await sandbox.oci(["pause", "paused"])).toEqual({ stdout: "", stderr: "", exitCode: 0 });
    expect((await sandbox.state("paused")).status).toBe("paused");
    expect(await sandbox.oci(["pause", "paused"])).toMatchObject({ exitCode: 1 });
    expect(await sandbox.oci(["exec", "paused", "true"])).toMatchObject({ exitCode: 255 });
    expect(await sandbox.oci(["resume", "paused"])).toEqual({ stdout: "", stderr: "", exitCode: 0 });
    expect((await sandbox.state("paused")).status).toBe("running");
    await sandbox.oci(["pause", "paused"]);
    expect(await sandbox.oci(["kill", "paused", "KILL"])).toMatchObject({ exitCode: 0 });
    await until("it has ended", async () => (await sandbox.state("paused")).status === "stopped");
    expect(existsSync(`/proc/${pid}/root/bin`)).toBe(false);
    expect(await sandbox.oci(["delete", "paused"])).toMatchObject({ exitCode: 0 });
  });

  test("a gocker that is killed while it makes a container leaves one that can be deleted", async () => {
    // The hook holds the creation up until it is looked at.
    const hold = join(sandbox.directory, "hold");
    const hooks = { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", `touch ${hold}; exec sleep 1000`] }] };
    const bundle = sandbox.bundle({ process: { args: ["true"] }, spec: { hooks } });
    const child = Bun.spawn([gockerBinary(), "oci", "--root", sandbox.stateRoot, "create", "--bundle", bundle, "cut"], {
      stdio: ["ignore", "ignore", "ignore"],
      env: { PATH: process.env["PATH"] ?? "" },
    });
    await until("the hook runs", () => existsSync(hold));
    const { pid } = await sandbox.state("cut");
    child.kill("SIGKILL");
    await child.exited;
    await until("what it had made is dead", () => !existsSync(`/proc/${pid}/root/bin`));
    expect((await sandbox.state("cut")).status).toBe("stopped");
    expect(await sandbox.oci(["delete", "cut"])).toMatchObject({ exitCode: 0 });
  });
});

describe.skipIf(!canRunBundles)("what goes wrong", () => {
  let sandbox: OciSandbox;
  beforeAll(async () => {
    sandbox = await OciSandbox.create();
  });
  afterAll(() => sandbox?.[Symbol.asyncDispose]());

  test("stands in the log too, where callers look for it", async () => {
    const log = join(sandbox.directory, "log");
    const bundle = sandbox.bundle({ process: { args: ["true"], cwd: "relative" } });
    const words = ["--log", log, "--log-format", "json", "create", "--bundle", bundle, "wrong"];
    expect(await sandbox.oci(words)).toEqual({
      stdout: "",
      stderr: 'gocker: process.cwd is "relative": expected an absolute path\n',
      exitCode: 1,
    });
    expect(JSON.parse(readFileSync(log, "utf8"))).toEqual({
      level: "error",
      msg: 'process.cwd is "relative": expected an absolute path',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    });
    expect(existsSync(join(sandbox.stateRoot, "wrong"))).toBe(false);
  });

  test.each([
    ["nosuch", "executable file not found in the container's PATH"],
    ["/no/such", "no such file or directory"],
    ["/etc/not-executable", "permission denied"],
    ["/etc", "is a directory"],
  ])("create fails already when %p cannot be executed", async (program, reason) => {
    const bundle = sandbox.bundle({ process: { args: [program] } });
    expect(await sandbox.oci(["create", "--bundle", bundle, "missing"])).toEqual({
      stdout: "",
      stderr: `gocker: cannot run ${program}: ${reason}\n`,
      exitCode: 1,
    });
    expect(existsSync(join(sandbox.stateRoot, "missing"))).toBe(false);
  });

  test("scheduler, priority and personality are the program's, and a label needs its module", async () => {
    const settings = {
      scheduler: { policy: "SCHED_BATCH", nice: 5 },
      ioPriority: { class: "IOPRIO_CLASS_IDLE", priority: 0 },
    };
    const args = ["sh", "-c", "cut -d' ' -f19,41 /proc/self/stat; uname -m"];
    const bundle = sandbox.bundle({ process: { args, ...settings }, linux: { personality: { domain: "LINUX32" } } });
    const machine = process.arch === "x64" ? "i686" : "armv8l";
    expect(await sandbox.oci(["run", "--bundle", bundle, "settings"])).toMatchObject({
      stdout: `5 3\n${machine}\n`,
      exitCode: 0,
    });
    if (existsSync("/sys/fs/selinux")) return;
    const labelled = sandbox.bundle({ process: { args: ["true"], selinuxLabel: "a:b:c" } });
    expect(await sandbox.oci(["run", "--bundle", labelled, "labelled"])).toMatchObject({
      stderr: expect.stringContaining("process.selinuxLabel: SELinux is not in force on this host"),
      exitCode: 1,
    });
  });

  test("a mount at a link that leads nowhere is made where it leads, below the root, and /dev can be read-only", async () => {
    const rootfs = join(sandbox.directory, "linked");
    Bun.spawnSync(["cp", "-a", join(sandbox.directory, "rootfs"), rootfs]);
    symlinkSync("/there/dir", join(rootfs, "link"));
    symlinkSync("../../../../outside", join(rootfs, "escape"));
    const mounts = [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "ro", "mode=755"] },
      { destination: "/link/below", type: "tmpfs", source: "tmpfs" },
      { destination: "/escape", type: "tmpfs", source: "tmpfs" },
    ];
    const script = "grep -c tmpfs /proc/mounts; test -c /dev/null && ! touch /dev/x; ls /there/dir; ls -d /outside";
    const spec = { root: { path: rootfs }, mounts };
    const bundle = sandbox.bundle({ process: { args: ["sh", "-c", `${script} 2>&1`] }, spec });
    const { stdout, exitCode } = await sandbox.oci(["run", "--bundle", bundle, "linked"]);
    expect(exitCode).toBe(0);
    expect(stdout).toEndWith("below\n/outside\n");
    expect(existsSync("/outside")).toBe(false);
  });

  test("without a process it can be created, and not started", async () => {
    const bundle = sandbox.bundle();
    const config = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8"));
    delete config.process;
    writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
    expect(await sandbox.oci(["create", "--bundle", bundle, "idle"])).toEqual({ stdout: "", stderr: "", exitCode: 0 });
    expect(await sandbox.state("idle")).toMatchObject({ status: "created" });
    expect(await sandbox.oci(["start", "idle"])).toEqual({
      stdout: "",
      stderr: "gocker: process: nothing to execute\n",
      exitCode: 1,
    });
    expect(await sandbox.oci(["delete", "--force", "idle"])).toEqual({ stdout: "", stderr: "", exitCode: 0 });
  });

  test("a pid file that is no file is written to, and not replaced", async () => {
    const fifo = join(sandbox.directory, "fifo");
    Bun.spawnSync(["mkfifo", fifo]);
    const reader = Bun.spawn(["cat", fifo]);
    const bundle = sandbox.bundle({ process: { args: ["true"] } });
    expect(await sandbox.oci(["run", "--pid-file", fifo, "--bundle", bundle, "piped"])).toMatchObject({ exitCode: 0 });
    expect(await reader.stdout.text()).toMatch(/^\d+$/);
    expect(statSync(fifo).isFIFO()).toBe(true);
  });

  test.skipIf(existsSync("/sys/fs/selinux"))("a label of files is nothing where nobody looks at it", async () => {
    const bundle = sandbox.bundle({ process: { args: ["true"] }, linux: { mountLabel: "a:b:c" } });
    expect(await sandbox.oci(["run", "--bundle", bundle, "labelled"])).toEqual({
      stdout: "",
      stderr: "gocker: warning: linux.mountLabel has no effect: SELinux is not in force on this host\n",
      exitCode: 0,
    });
  });

  test("without a mount at /dev the default devices are in the root directory, a second time too", async () => {
    const rootfs = join(sandbox.directory, "without-dev");
    Bun.spawnSync(["cp", "-a", join(sandbox.directory, "rootfs"), rootfs]);
    const args = ["sh", "-c", "for d in null zero full random urandom tty; do test -c /dev/$d && echo $d; done"];
    const bundle = sandbox.bundle({ process: { args }, spec: { root: { path: rootfs }, mounts: [] } });
    for (let time = 0; time < 2; time++) {
      expect(await sandbox.oci(["run", "--bundle", bundle, "bare"])).toEqual({
        stdout: "null\nzero\nfull\nrandom\nurandom\ntty\n",
        stderr: "",
        exitCode: 0,
      });
    }
  });

  test("few files may be enough for a program", async () => {
    const rlimits = [{ type: "RLIMIT_NOFILE", soft: 4, hard: 4 }];
    const bundle = sandbox.bundle({ process: { args: ["sh", "-c", "ulimit -n"], rlimits } });
    expect(await sandbox.oci(["run", "--bundle", bundle, "few"])).toEqual({ stdout: "4\n", stderr: "", exitCode: 0 });
  });

  test("a time namespace has its offsets", async () => {
    const uptime = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
    const linux = {
      namespaces: [
        { type: "mount" as const },
        { type: "uts" as const },
        { type: "pid" as const },
        { type: "time" as const },
      ],
      timeOffsets: { boottime: { secs: 1_000_000 } },
    };
    const bundle = sandbox.bundle({ process: { args: ["cat", "/proc/uptime"] }, linux });
    const { stdout, exitCode } = await sandbox.oci(["run", "--bundle", bundle, "later"]);
    expect(exitCode).toBe(0);
    expect(Number(stdout.split(" ")[0])).toBeGreaterThan(uptime + 999_999);
  });

  test.each([
    [["state"], "gocker: oci state got 0 arguments\n  hint: usage: gocker oci state ID\n"],
    [["nonsense"], 'gocker: there is no command "nonsense"\n  hint: gocker oci --help lists the commands\n'],
    [
      ["creat"],
      'gocker: there is no command "creat"\n  hint: did you mean gocker oci create? gocker oci --help lists the commands\n',
    ],
    [["kill", "x", "SIGNOPE"], 'gocker: there is no signal "SIGNOPE"\n'],
    [
      ["checkpoint", "x"],
      "gocker: checkpoint is not supported\n  hint: gocker does not save and restore running processes\n",
    ],
    [
      ["create", "--bundle", "/nonexistent", "x"],
      "gocker: the bundle's specification does not exist: /nonexistent/config.json\n",
    ],
  ])("%p", async (words, stderr) => {
    expect(await sandbox.oci(words)).toEqual({ stdout: "", stderr, exitCode: 1 });
  });

  test("by a link named gocker-oci the words are the runtime's", async () => {
    const child = Bun.spawnSync(["gocker-oci", "--version"], { argv0: "gocker-oci", ...asLink() });
    expect({ out: child.stdout.toString(), code: child.exitCode }).toEqual({
      out: expect.stringMatching(/^gocker-oci version \S+\nspec: 1\.\d\.\d\n$/),
      code: 0,
    });
  });

  function asLink() {
    const link = join(sandbox.directory, "gocker-oci");
    if (!existsSync(link)) Bun.spawnSync(["ln", "-s", gockerBinary(), link]);
    return { cwd: sandbox.directory, env: { PATH: sandbox.directory } };
  }

  test("help", async () => {
    const { stdout, exitCode } = await sandbox.oci(["--help"]);
    expect(exitCode).toBe(0);
    for (const name of ["create", "start", "state", "kill", "delete", "exec", "events", "update"]) {
      expect(stdout).toMatch(new RegExp(`^  ${name} {3,}\\S`, "m"));
    }
    expect((await sandbox.oci(["create", "--help"])).stdout).toContain("--console-socket PATH");
  });

  test("features tells of what there is, and of what there is not", async () => {
    const { stdout, exitCode } = await sandbox.oci(["features"]);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      ociVersionMin: "1.0.0",
      mountOptions: expect.arrayContaining(["ro", "rro", "rbind", "rprivate", "nosymfollow"]),
      linux: {
        namespaces: expect.arrayContaining(["pid", "time"]),
        seccomp: {
          actions: expect.arrayContaining(["SCMP_ACT_ERRNO", "SCMP_ACT_NOTIFY"]),
          archs: expect.arrayContaining(["SCMP_ARCH_X86"]),
        },
        apparmor: { enabled: true },
        mountExtensions: { idmap: { enabled: true } },
      },
    });
  });

  test("--debug tells of the flags of the filter", async () => {
    const seccomp = { defaultAction: "SCMP_ACT_ALLOW" as const, flags: ["SECCOMP_FILTER_FLAG_LOG"] };
    const bundle = sandbox.bundle({ process: { args: ["true"] }, linux: { seccomp } });
    const { stderr, exitCode } = await sandbox.oci(["--debug", "run", "--bundle", bundle, "told"]);
    expect(exitCode).toBe(0);
    expect(stderr).toContain('level=debug msg="seccomp filter flags: 2"\n');
  });

  test("what is not carried out is refused, by its name", async () => {
    const cases: readonly (readonly [BundleChange, string])[] = [
      [{ linux: { intelRdt: { closID: "x" } } }, "linux.intelRdt is not supported yet"],
    ];
    for (const [change, message] of cases) {
      const process = { args: ["true"], ...change.process };
      const { stderr, exitCode } = await sandbox.oci([
        "run",
        "--bundle",
        sandbox.bundle({ ...change, process }),
        "refused",
      ]);
      expect({ message: stderr.split("\n")[0], exitCode }).toEqual({ message: `gocker: ${message}`, exitCode: 1 });
    }
  });

  test("a cgroupsPath that systemd cannot have is refused, and so is systemd where it does not run", async () => {
    const systemd = async (linux: RuntimeSpec["linux"]) => {
      const bundle = sandbox.bundle({ process: { args: ["true"] }, linux });
      const { stderr, exitCode } = await sandbox.oci(["--systemd-cgroup", "run", "--bundle", bundle, "refused"]);
      return { message: stderr.split("\n")[0], exitCode };
    };
    expect(await systemd({ cgroupsPath: "/gocker/x" })).toEqual({
      message: 'gocker: linux.cgroupsPath "/gocker/x" is not of the form slice:prefix:name, which systemd needs',
      exitCode: 1,
    });
    if (existsSync("/run/systemd/system")) return;
    expect(await systemd({})).toEqual({
      message: "gocker: systemd does not run on this host, and can make no cgroups",
      exitCode: 1,
    });
    expect(await sandbox.oci(["--systemd-cgroup", "state", "refused"])).toMatchObject({ exitCode: 1 });
  });

  test("spec writes a bundle's beginning, once", async () => {
    const directory = join(sandbox.directory, "fresh");
    Bun.spawnSync(["mkdir", directory]);
    expect(await sandbox.oci(["spec", "--bundle", directory])).toEqual({ stdout: "", stderr: "", exitCode: 0 });
    expect(JSON.parse(readFileSync(join(directory, "config.json"), "utf8"))).toMatchObject({
      root: { path: "rootfs" },
    });
    expect(await sandbox.oci(["spec", "--bundle", directory])).toMatchObject({ exitCode: 1 });
  });

  test("spec --rootless writes one whose user namespace has the caller as its root", async () => {
    const directory = join(sandbox.directory, "rootless");
    Bun.spawnSync(["mkdir", directory]);
    expect(await sandbox.oci(["spec", "--rootless", "--bundle", directory])).toEqual(success(""));
    const file = join(directory, "config.json");
    const spec = JSON.parse(readFileSync(file, "utf8")) as RuntimeSpec;
    expect(spec.linux).toMatchObject({ uidMappings: [{ containerID: 0, hostID: 0, size: 1 }] });
    const process = { ...spec.process, terminal: false, args: ["cat", "/proc/self/uid_map"] };
    writeFileSync(file, JSON.stringify({ ...spec, process, root: { path: sandbox.rootfs, readonly: true } }));
    const { stdout, stderr, exitCode } = await sandbox.oci(["run", "--bundle", directory, "rootless"]);
    expect({ map: stdout.trim().split(/\s+/), stderr, exitCode }).toEqual({
      map: ["0", "0", "1"],
      stderr: "",
      exitCode: 0,
    });
  });
});

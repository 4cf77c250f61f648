import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Linux, Namespace } from "../../src/oci/runtime-spec.ts";
import { gockerBinary } from "../helpers/binary.ts";
import { canRunBundles, OciSandbox } from "../helpers/bundle.ts";
import { success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

describe.skipIf(!canRunBundles)("exec", () => {
  let sandbox: OciSandbox;
  let pid: number;
  beforeAll(async () => {
    sandbox = await OciSandbox.create();
    pid = await sandbox.runDetached("c", { process: { env: ["PATH=/bin", "A=1"] } });
  });
  afterAll(async () => {
    await sandbox?.oci(["delete", "--force", "c"]);
    await sandbox?.[Symbol.asyncDispose]();
  });

  const statePid = (id: string) =>
    (JSON.parse(readFileSync(join(sandbox.stateRoot, id, "state.json"), "utf8")) as { pid: number }).pid;
  const exec = (...words: string[]) => sandbox.oci(["exec", ...words]);

  test("runs a program in the container's namespaces, root and cgroup", async () => {
    const script =
      "echo $$ $A; hostname; for n in mnt pid net ipc uts; do readlink /proc/self/ns/$n; done; cat /proc/self/cgroup";
    const cgroupOfFirst = await exec("c", "cat", "/proc/1/cgroup");
    const { stdout, stderr, exitCode } = await exec("c", "sh", "-c", script);
    const [first, host, ...rest] = stdout.trimEnd().split("\n");
    expect({ first, host, stderr, exitCode }).toEqual({
      first: expect.stringMatching(/^\d+ 1$/),
      host: "gocker",
      stderr: "",
      exitCode: 0,
    });
    expect(rest.slice(0, 5)).toEqual(
      ["mnt", "pid", "net", "ipc", "uts"].map((name) => readlinkSync(`/proc/${pid}/ns/${name}`)),
    );
    // As it is seen from within: below the root of its cgroup namespace, where it has one.
    expect(`${rest.slice(5).join("\n")}\n`).toBe(cgroupOfFirst.stdout);
  });

  test("passes input and outputs through, and ends as the program does", async () => {
    expect(await sandbox.oci(["exec", "c", "cat"], { stdin: "binary \u0000 safe" })).toEqual(
      success("binary \u0000 safe"),
    );
    expect(await exec("c", "sh", "-c", "echo err >&2; exit 9")).toEqual({ stdout: "", stderr: "err\n", exitCode: 9 });
    expect(await exec("c", "sh", "-c", "kill -9 $$")).toMatchObject({ exitCode: 137 });
  });

  test("user, variables, directory", async () => {
    const words = ["--user", "1000:5", "--additional-gids", "7", "--env", "A=2", "--cwd", "/etc"];
    expect(await exec(...words, "c", "sh", "-c", 'echo "$(id -u) $(id -g) $(id -G) $A $HOME $(pwd)"')).toEqual(
      success("1000 5 5 7 2 /home/user /etc\n"),
    );
  });

  test("another user can open its outputs anew", async () => {
    // A pipe of the shell's: what Bun calls one is a socket, which cannot be opened.
    const script = `"$0" oci --root "$1" exec --user 1000 c sh -c 'echo anew > /dev/stdout' | cat`;
    const child = Bun.spawn(["sh", "-c", script, gockerBinary(), sandbox.stateRoot], { stdout: "pipe", env: {} });
    expect(await child.stdout.text()).toBe("anew\n");
  });

  test("the process as JSON, with a pid file, detached", async () => {
    const file = join(sandbox.directory, "process.json");
    const pidFile = join(sandbox.directory, "exec-pid");
    writeFileSync(file, JSON.stringify({ cwd: "/", args: ["sleep", "999"], env: ["PATH=/bin"] }));
    expect(await exec("--detach", "--pid-file", pidFile, "--process", file, "c")).toEqual(success(""));
    const child = Number(readFileSync(pidFile, "utf8"));
    expect(readFileSync(`/proc/${child}/cmdline`, "utf8")).toBe("sleep\u0000999\u0000");
    expect(sandbox.gockers()).toEqual([]);
    const { stdout } = await sandbox.oci(["ps", "--format", "json", "c"]);
    expect(JSON.parse(stdout)).toEqual([pid, child].toSorted((a, b) => a - b));
    expect((await sandbox.oci(["ps", "c"])).stdout).toMatch(
      /^UID +PID +PPID +C +STIME +TTY +TIME +CMD\nroot +\d+ .*sleep 1000\n/,
    );
    process.kill(child, "SIGKILL");
    await until(
      "it has ended",
      async () => JSON.parse((await sandbox.oci(["ps", "--format", "json", "c"])).stdout).length === 1,
    );
  });

  test("ps shows what a process calls itself without what a terminal would act on", async () => {
    const name = "\u001b[2J\u001b]0;title\u0007 two\nlines \u202e";
    const first = await sandbox.runDetached("named", { process: { args: ["sh", "-c", "sleep 1000; :", name] } });
    await until("its program runs", () => readFileSync(`/proc/${first}/cmdline`, "utf8").startsWith("sh\0"));
    const { stdout } = await sandbox.oci(["ps", "named"]);
    const line = stdout.split("\n").find((one) => one.includes(` ${first} `));
    expect(line).toEndWith(" sh -c sleep 1000; : \\x1b[2J\\x1b]0;title\\x07 two\\x0alines \\u202e");
    await sandbox.oci(["delete", "--force", "named"]);
  });

  test("a command that cannot be executed", async () => {
    expect(await exec("c", "nosuch")).toEqual({
      stdout: "",
      stderr: "gocker: exec nosuch: executable file not found in the container's PATH\n",
      exitCode: 255,
    });
    expect(await exec("c", "/etc/not-executable")).toEqual({
      stdout: "",
      stderr: "gocker: exec /etc/not-executable: permission denied\n",
      exitCode: 255,
    });
    expect(await exec("c")).toMatchObject({ exitCode: 255 });
    expect(await exec("--env", "A=b", "--env", "secret", "c", "true")).toEqual({
      stdout: "",
      stderr: "gocker: --env needs NAME=VALUE (number 2 of them)\n",
      exitCode: 255,
    });
    expect(await exec("nosuch", "true")).toMatchObject({ exitCode: 255 });
  });

  test("the container sees nothing of gocker's in the process that comes in (CVE-2019-5736, CVE-2024-21626, CVE-2016-9962)", async () => {
    const script = "readlink /proc/self/exe; ls /proc/self/fd | wc -l; readlink /proc/self/cwd; ls /proc/self/cwd/..";
    const { stdout } = await exec("c", "sh", "-c", script);
    const [exe, descriptors, directory, above] = stdout.split("\n");
    expect({ exe, directory, above }).toEqual({ exe: "/bin/busybox", directory: "/", above: "bin" });
    // The three standard ones, and the directory that ls reads.
    expect(descriptors).toBe("4");
    // What comes in executes itself: the stub, which does its steps once more and has nothing that they need.
    expect(await exec("c", "/proc/self/exe", "echo", "hi")).toEqual({ stdout: "", stderr: "", exitCode: 127 });
    expect((await exec("--cwd", "/proc/self/fd/7", "c", "pwd")).exitCode).not.toBe(0);
  });

  test("a working directory that is not there is not made", async () => {
    expect(await exec("--cwd", "/no/such", "c", "true")).toEqual({
      stdout: "",
      stderr:
        "gocker: find /no/such in the container: openat2 /no/such: no such file or directory (ENOENT)\n" +
        "  hint: process.cwd: chdir to a directory that is not there\n",
      exitCode: 255,
    });
    expect((await exec("c", "ls", "/")).stdout).not.toContain("no");
  });

  test("runs on all processors, as the container does, whichever the caller is kept to", async () => {
    const all = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync("/proc/1/status", "utf8"))?.[1] ?? "";
    const words = ["exec", "c", "grep", "Cpus_allowed_list", "/proc/self/status"];
    const command = ["taskset", "-c", "0", gockerBinary(), "oci", "--root", sandbox.stateRoot, ...words];
    expect(Bun.spawnSync(command, { env: { PATH: process.env["PATH"] ?? "" } }).stdout.toString()).toBe(
      `Cpus_allowed_list:\t${all}\n`,
    );
    const bundle = sandbox.bundle({ process: { args: words.slice(2) } });
    const run = [...command.slice(0, 7), "run", "--bundle", bundle, "free"];
    expect(Bun.spawnSync(run, { env: { PATH: process.env["PATH"] ?? "" } }).stdout.toString()).toBe(
      `Cpus_allowed_list:\t${all}\n`,
    );
  });

  test("gets its memory as the container does", async () => {
    await sandbox.runDetached("numa", { linux: { memoryPolicy: { mode: "MPOL_BIND", nodes: "0" } } });
    expect((await exec("numa", "cat", "/proc/self/numa_maps")).stdout).toMatch(/^\w+ bind:0 /);
    await sandbox.oci(["delete", "--force", "numa"]);
  });

  test("descriptors that are handed on, and no others", async () => {
    const script = `exec 3</etc/hostname; exec "$0" oci --root "$1" exec --preserve-fds 1 c sh -c 'cat <&3 | wc -l; ls /proc/self/fd | wc -l'`;
    const child = Bun.spawn(["sh", "-c", script, gockerBinary(), sandbox.stateRoot], { stdout: "pipe", env: {} });
    expect(await child.stdout.text()).toBe("1\n5\n");
  });

  test.each(["run --bundle $2 sockets", "exec c sh -c 'env; cat <&3; ls /proc/self/fd | wc -l'"])(
    "sockets that systemd has for it are the container's: %s",
    (words) => {
      const args = ["sh", "-c", "env; cat <&3; ls /proc/self/fd | wc -l"];
      const bundle = sandbox.bundle({ process: { args, env: ["PATH=/bin"] } });
      const script = `export LISTEN_FDS=1 LISTEN_PID=$$; exec 3<"$3"; exec "$0" oci --root "$1" ${words}`;
      const file = join(sandbox.directory, "rootfs/etc/passwd");
      const start = (env: Record<string, string>) =>
        Bun.spawnSync(["sh", "-c", script, gockerBinary(), sandbox.stateRoot, bundle, file], { env }).stdout.toString();
      const lines = start({}).split("\n");
      expect(lines).toEqual(expect.arrayContaining(["LISTEN_FDS=1", "LISTEN_PID=1", expect.stringMatching(/^root:/)]));
      expect(lines.at(-2)).toBe("5");
    },
  );

  test.each([
    ["descriptors that the caller does not have", "3</dev/null", 8, "descriptor 4 of --preserve-fds 8 is not open"],
    ["a directory of the host's", "3</dev/null 4<.", 2, "descriptor 4 is a directory"],
    ["more than there can be", "3</dev/null", 901, '--preserve-fds must be a number up to 900, not "901"'],
  ])("are not handed on: %s", async (_, redirections, count, message) => {
    const bundle = sandbox.bundle({ process: { args: ["true"] } });
    for (const [words, exitCode] of [
      [`exec --preserve-fds ${count} c true`, 255],
      [`run --preserve-fds ${count} --bundle ${bundle} handed`, 1],
      [`create --preserve-fds ${count} --bundle ${bundle} handed`, 1],
    ] as const) {
      const script = `exec ${redirections}; exec "$0" oci --root "$1" ${words}`;
      const child = Bun.spawnSync(["sh", "-c", script, gockerBinary(), sandbox.stateRoot], { env: {} });
      const stderr = child.stderr.toString().split("\n")[0];
      expect({ stderr, exitCode: child.exitCode }).toEqual({ stderr: `gocker: ${message}`, exitCode });
    }
  });

  test("a container that is created is not started from inside: what it waits for is hidden", async () => {
    const args = ["sh", "-c", "echo begun; exec sleep 1000"];
    for (const [id, user] of [
      ["waits", { uid: 0, gid: 0 }],
      ["waits-as-user", { uid: 1000, gid: 1000 }],
    ] as const) {
      const bundle = sandbox.bundle({ process: { args, user } });
      expect(await sandbox.oci(["create", "--bundle", bundle, id])).toMatchObject({ stderr: "", exitCode: 0 });
      const script =
        "for n in 0 1 2 3 4 5 6 7 8 9; do readlink /proc/1/fd/$n; echo x > /proc/1/fd/$n; done; readlink /proc/1/exe";
      const { stdout } = await exec("--user", `${user.uid}:${user.gid}`, id, "sh", "-c", script);
      expect(stdout).toBe("");
      expect((await sandbox.state(id)).status).toBe("created");
      expect(await sandbox.oci(["start", id])).toEqual(success(""));
      await until("it has begun", () => readFileSync(`/proc/${statePid(id)}/cmdline`, "utf8").startsWith("sleep"));
      // What is hidden is what waits, and not the program.
      expect((await exec("--user", `${user.uid}:${user.gid}`, id, "readlink", "/proc/1/exe")).stdout).toBe(
        "/bin/busybox\n",
      );
      await sandbox.oci(["delete", "--force", id]);
    }
  });

  test("one that was started from inside all the same is told as such, and one whose FIFO is full is started", async () => {
    const bundle = sandbox.bundle({ process: { args: ["sleep", "1000"] } });
    for (const id of ["begun", "crowded"]) await sandbox.oci(["create", "--bundle", bundle, id]);
    const fifo = (id: string) => join(sandbox.stateRoot, id, "exec.fifo");
    writeFileSync(fifo("begun"), "x");
    await until("it has begun", () => readFileSync(`/proc/${statePid("begun")}/cmdline`, "utf8").startsWith("sleep"));
    expect(await sandbox.oci(["start", "begun"])).toEqual({
      stdout: "",
      stderr: "gocker: the container begun is created: its first process does not wait to be started\n",
      exitCode: 1,
    });
    // Held still, so that it cannot read what fills the FIFO.
    process.kill(statePid("crowded"), "SIGSTOP");
    const writer = openSync(fifo("crowded"), constants.O_RDWR | constants.O_NONBLOCK);
    expect(() => {
      for (;;) writeSync(writer, new Uint8Array(4096));
    }).toThrow("EAGAIN");
    expect(await sandbox.oci(["start", "crowded"])).toEqual(success(""));
    closeSync(writer);
    for (const id of ["begun", "crowded"]) await sandbox.oci(["delete", "--force", id]);
  });

  test("a container without a pid namespace of its own", async () => {
    const namespaces = [{ type: "mount" }, { type: "ipc" }] as const;
    const own = await sandbox
      .runDetached("sharing", { linux: { namespaces: [...namespaces] }, spec: { hostname: "other" } })
      .catch(String);
    expect(own).toContain("hostname: a container without a uts namespace would rename the host");
    const uts = [...namespaces, { type: "uts" }] as const;
    const first = await sandbox.runDetached("sharing", { linux: { namespaces: [...uts] } });
    const { stdout } = await exec("sharing", "sh", "-c", "echo $$; sleep 1000 & echo $!");
    const [, child = ""] = stdout.split("\n");
    expect(existsSync(`/proc/${child}`)).toBe(true);
    expect(await sandbox.oci(["kill", "sharing", "KILL"])).toMatchObject({ exitCode: 0 });
    await until(
      "all of it has ended",
      () => !existsSync(`/proc/${first}/root/bin`) && !existsSync(`/proc/${child}/root/bin`),
    );
    expect(await sandbox.oci(["delete", "sharing"])).toMatchObject({ exitCode: 0 });
  });

  test("namespaces of another container are joined by their paths", async () => {
    const paths = ["pid", "network", "ipc", "uts"] as const;
    const files = { pid: "pid", network: "net", ipc: "ipc", uts: "uts" };
    const namespaces = [
      { type: "mount" as const },
      ...paths.map((type) => ({ type, path: `/proc/${pid}/ns/${files[type]}` })),
    ];
    const args = ["sh", "-c", "hostname; for n in pid net ipc uts; do readlink /proc/self/ns/$n; done; test $$ != 1"];
    const { hostname: _, ...spec } = { hostname: undefined };
    const bundle = sandbox.bundle({ process: { args }, linux: { namespaces }, spec });
    const config = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8"));
    delete config.hostname;
    writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
    const expected = Object.values(files).map((name) => readlinkSync(`/proc/${pid}/ns/${name}`));
    expect(await sandbox.oci(["run", "--bundle", bundle, "joining"])).toEqual(
      success(`gocker\n${expected.join("\n")}\n`),
    );
  });

  test("namespaces of another type, and those that would be the host's", async () => {
    const refusal = async (namespaces: Namespace[], linux: Linux = {}) => {
      const bundle = sandbox.bundle({ process: { args: ["true"] }, linux: { namespaces, ...linux } });
      const { stderr, exitCode } = await sandbox.oci(["run", "--bundle", bundle, "mistaken"]);
      return { message: stderr.split("\n")[0], exitCode };
    };
    const message = (text: string) => ({ message: `gocker: ${text}`, exitCode: 1 });
    const uts: Namespace = { type: "uts" };
    const ipc = `/proc/${pid}/ns/ipc`;
    expect(await refusal([{ type: "mount" }, uts, { type: "network", path: ipc }])).toEqual(
      message(`linux.namespaces[2].path: ${ipc} is a namespace of the type ipc, not network`),
    );
    const sysctl = { "net.ipv4.ip_forward": "1" };
    const hosts: Namespace = { type: "network", path: "/proc/self/ns/net" };
    expect(await refusal([{ type: "mount" }, uts, hosts], { sysctl })).toEqual(
      message("linux.sysctl: net.ipv4.ip_forward would change the host without a network namespace"),
    );
    expect(await refusal([{ type: "mount" }, { type: "uts", path: "/proc/self/ns/uts" }])).toEqual(
      message("hostname: a container without a uts namespace would rename the host"),
    );
  });
});

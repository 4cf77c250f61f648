import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { eventLogPaths } from "../../src/container/events.ts";
import { gockerBinary } from "../helpers/binary.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { hostShell } from "../helpers/host-shell.ts";
import { containerCgroups, createRunner, outcomeOf, type Runner, success } from "../helpers/runner.ts";
import { makeTar } from "../helpers/tar.ts";
import { terminalHolders } from "../helpers/terminal-holders.ts";
import { until } from "../helpers/until.ts";

const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

describe.skipIf(!canRunCorpus)("gocker exec", () => {
  let runner: Runner;
  let image: string;
  let main: ReturnType<Runner["start"]>;
  let id: string;
  let pid: number;
  beforeAll(async () => {
    runner = await createRunner([], {
      "plain:1": {
        layers: [
          alpineLayer,
          makeTar([
            { name: "etc/not-executable", mode: 0o644, content: "x" },
            { name: "etc/no-program", mode: 0o755, content: "\u007fELF that is none" },
          ]),
        ],
        config: { Env: ["PATH=" + path, "OF=image", "BOTH=image"] },
      },
    });
    image = runner.image("plain:1");
    const flags = [
      "--rm",
      "-i",
      "--name",
      "main",
      "--network",
      "none",
      "-w",
      "/tmp",
      "-e",
      "BOTH=user",
      "-e",
      "OF_USER=1",
    ];
    main = runner.start(["run", ...flags, image, "cat"]);
    ({ id, pid = 0 } = await runner.untilRunning());
  });
  afterAll(async () => {
    if (runner === undefined) return;
    void main.stdin.end();
    await main.exited;
    const left = runner.leftovers();
    await runner[Symbol.asyncDispose]();
    expect(left).toEqual([]);
  });

  const exec = (...words: string[]) => runner.gocker(["exec", ...words]);
  const shell = (script: string, ...flags: string[]) => exec(...flags, "main", "sh", "-c", script);
  /** Where the container's files are, as the host sees them. */
  const inside = (name: string) => `/proc/${pid}/root/${name}`;

  const onHost = (script: string) => hostShell(runner, script);

  test("is in all of the container: namespaces, root directory, cgroup", async () => {
    const script =
      "for n in mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$n; done; cat /proc/1/cmdline | tr '\\0' ' '; " +
      "cat /proc/1/cgroup > /tmp/first; cat /proc/self/cgroup > /tmp/own; cmp /tmp/first /tmp/own";
    const { stdout, stderr, exitCode } = await shell(script);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    const lines = stdout.trim().split("\n");
    const names = ["mnt", "pid", "net", "ipc", "uts", "cgroup"];
    expect(lines.slice(0, 6)).toEqual(names.map((name) => readlinkSync(`/proc/${pid}/ns/${name}`)));
    expect(lines[6]).toBe("cat");
  });

  test("is held by what holds the container: capabilities, filter, limits", async () => {
    const script = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/$1/status; cat /proc/$1/limits";
    const of = async (process: string) => (await exec("main", "sh", "-c", script, "sh", process)).stdout;
    const own = await of("self");
    expect(own).toMatch(/^CapEff:\t00000000a80425fb$/m);
    expect(own).toMatch(/^Seccomp:\t2$/m);
    expect(own).toBe(await of("1"));
    expect((await shell("mount -t tmpfs none /mnt")).exitCode).not.toBe(0);
  });

  test("can be named by an ID or its beginning", async () => {
    for (const name of [id, id.slice(0, 12)]) expect(await exec(name, "echo", "x")).toEqual(success("x\n"));
  });

  test("all words after the container are the command's", async () => {
    expect(await exec("main", "echo", "-it", "--help", "--", "x")).toEqual(success("-it --help -- x\n"));
  });

  describe("the environment", () => {
    test("is the container's configuration, not what its first process has besides", async () => {
      expect(await exec("main", "env")).toEqual(
        success(`PATH=${path}\nHOSTNAME=${id.slice(0, 12)}\nOF=image\nBOTH=user\nOF_USER=1\nHOME=/root\n`),
      );
    });

    test("then --env-file, then -e; -e of a name alone passes gocker's own on, or takes the container's away", async () => {
      const file = join(runner.sandbox.directory, "environment");
      writeFileSync(file, "# a comment\nA=file\nB=file\n");
      const flags = ["--env-file", file, "-e", "A=flag", "-e", "OF", "-e", "OURS"];
      const { stdout } = await runner.gocker(["exec", ...flags, "main", "env"], { env: { OURS: "gocker's" } });
      expect(stdout).toContain("\nA=flag\nB=file\nOURS=gocker's\n");
      expect(stdout).not.toContain("OF=");
    });
  });

  describe("the user", () => {
    test("root with the groups of the container, unless told", async () => {
      const { stdout } = await exec("main", "id", "-G");
      expect(stdout).toBe("0 1 2 3 4 6 10 11 20 26 27\n");
    });

    test("is found, with its groups and home, as the container's files are now", async () => {
      const made = "echo dora:x:1234:99::/home/dora:/bin/sh >> /etc/passwd; echo extra:x:777:other,dora >> /etc/group";
      expect(await shell(made)).toEqual(success(""));
      const script = 'echo "$(id -u) $(id -g) $(id -G) $HOME $(pwd)"';
      expect(await shell(script, "-u", "dora")).toEqual(success("1234 99 99 777 /home/dora /tmp\n"));
      expect(await shell(script, "-u", "1234:5")).toEqual(success("1234 5 5 /home/dora /tmp\n"));
      expect(await shell(script, "-u", "4321:extra")).toEqual(success("4321 777 777 / /tmp\n"));
      expect(await shell("echo $HOME", "-u", "dora", "-e", "HOME=/mine")).toEqual(success("/mine\n"));
    });

    test("that is not root has no capabilities, and could only gain what the container may have", async () => {
      expect((await shell("grep ^Cap /proc/self/status", "-u", "nobody")).stdout).toBe(
        "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n" +
          "CapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\n",
      );
    });

    test("that the container does not know", async () => {
      expect(await exec("-u", "nosuch", "main", "id")).toMatchObject({
        stderr: expect.stringContaining("gocker: unable to find user nosuch"),
        exitCode: 125,
      });
    });

    test.each([
      ["a FIFO", "mkfifo /etc/passwd"],
      ["a directory", "mkdir /etc/passwd"],
      ["a device", "mknod /etc/passwd c 1 5"],
      ["a link in a circle", "ln -s passwd /etc/passwd"],
    ])("is not looked for in %s", async (_, replace) => {
      expect(await shell(`mv /etc/passwd /etc/passwd.own; ${replace}`)).toEqual(success(""));
      try {
        expect((await exec("-u", "nobody", "main", "id")).stderr).toContain("unable to find user nobody");
        expect(await exec("-u", "5", "main", "sh", "-c", "echo $HOME")).toEqual(success("/\n"));
      } finally {
        await shell("rm -rf /etc/passwd; mv /etc/passwd.own /etc/passwd");
      }
    });

    test("is not looked up outside of the container, where its files lead", async () => {
      writeFileSync(join(runner.sandbox.directory, "passwd"), "outside:x:66:66::/:\n");
      const link = `ln -sf ../../../../../../../../${runner.sandbox.directory}/passwd /etc/passwd`;
      const { exitCode } = await shell(`cp /etc/passwd /etc/passwd.own; ${link}`);
      expect(exitCode).toBe(0);
      try {
        expect((await exec("-u", "outside", "main", "id")).stderr).toContain("unable to find user outside");
      } finally {
        await shell("mv /etc/passwd.own /etc/passwd");
      }
      expect(await exec("-u", "nobody", "main", "id", "-u")).toEqual(success("65534\n"));
    });
  });

  test("of another user and with more groups, a container's further commands have both too", async () => {
    const child = runner.start([
      "run",
      "--rm",
      "-i",
      "--name",
      "other",
      "-u",
      "nobody",
      "--group-add",
      "777",
      image,
      "cat",
    ]);
    await until("it runs", async () => (await exec("other", "true")).exitCode === 0);
    expect(await exec("other", "id", "-G")).toEqual(success("65534 777\n"));
    expect((await exec("-u", "0", "other", "sh", "-c", "id -u; grep CapEff /proc/self/status")).stdout).toBe(
      "0\nCapEff:\t00000000a80425fb\n",
    );
    expect(await outcomeOf(child)).toEqual(success(""));
  });

  describe("the working directory", () => {
    test("is the container's, or the one that is asked for", async () => {
      expect(await exec("main", "pwd")).toEqual(success("/tmp\n"));
      expect(await exec("-w", "/etc/apk/..", "main", "pwd")).toEqual(success("/etc\n"));
    });

    test.each([
      ["/no/such", "no such file or directory"],
      ["/etc/passwd", "not a directory"],
      ["/proc/self/fd/7", "no such file or directory"],
      ["/proc/1/root", "too many levels of symbolic links"],
    ])("%s is refused, and not made", async (directory, reason) => {
      expect(await exec("-w", directory, "main", "pwd")).toEqual({
        stdout: "",
        stderr: `gocker: cannot work in ${directory}: ${reason} in the container\n  hint: name one that is there with -w\n`,
        exitCode: 125,
      });
      expect(existsSync(inside("no"))).toBe(false);
    });

    test("must be absolute", async () => {
      expect(await exec("-w", "etc", "main", "pwd")).toMatchObject({
        stderr: 'gocker: invalid --workdir "etc": it is not an absolute path\n',
        exitCode: 125,
      });
    });
  });

  test("--privileged gives all capabilities, and not the filter's permission", async () => {
    const all = /^CapBnd:\t(\w+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
    const { stdout } = await shell("grep -E '^(CapEff|Seccomp:)' /proc/self/status", "--privileged");
    expect(stdout).toBe(`CapEff:\t${all}\nSeccomp:\t2\n`);
  });

  describe("the exit code", () => {
    test.each([
      ["exit 0", 0],
      ["exit 7", 7],
      ["exit 255", 255],
      ["kill -TERM $$", 143],
      ["kill -KILL $$", 137],
    ])("of sh -c %j is %d", async (script, exitCode) => {
      expect(await shell(script)).toEqual({ stdout: "", stderr: "", exitCode });
    });

    test.each([
      ["nosuch", 127, "executable file not found in the container's PATH"],
      ["/no/such", 127, "no such file or directory"],
      ["/etc/not-executable", 126, "permission denied"],
      ["/etc", 126, "permission denied"],
      ["/etc/no-program", 126, "exec format error"],
    ])("of %s is %d, in run's words", async (program, exitCode, reason) => {
      const outcome = { stdout: "", stderr: `gocker: cannot run ${program}: ${reason}\n`, exitCode };
      expect(await exec("main", program)).toEqual(outcome);
      expect(await exec("-d", "main", program)).toEqual(outcome);
      const { stderr } = await runner.run([image, program]);
      expect(stderr).toStartWith(outcome.stderr);
    });

    test.each([
      [["exec", "main"], "exec needs at least 2 arguments, and got 1"],
      [["exec", "nosuch", "true"], "no such container: nosuch"],
      [["exec", "-it", "main", "sh"], "the input device is not a TTY"],
      [["exec", "--detach-keys", "ctrl-", "main", "sh"], 'invalid detach keys "ctrl-": "ctrl-" is no key'],
      [["exec", "-e", "=x", "main", "sh"], "invalid environment variable: =x"],
      [["exec", "--nosuch", "main", "sh"], "unknown flag"],
    ])("of %j is 125", async (words, message) => {
      const { stdout, stderr, exitCode } = await runner.gocker(words, { stdin: "" });
      expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
      expect(stderr).toContain(message);
    });
  });

  describe("signals to gocker", () => {
    test.each(["INT", "TERM", "HUP", "USR1"] as const)("SIG%s goes to the command", async (signal) => {
      const script = `trap 'echo got ${signal}; exit 5' ${signal}; touch /tmp/ready-${signal}; while :; do sleep 0.01; done`;
      const child = runner.start(["exec", "main", "sh", "-c", script]);
      await until("the script is ready", () => existsSync(inside(`tmp/ready-${signal}`)));
      child.kill(`SIG${signal}`);
      expect(await outcomeOf(child)).toEqual({ stdout: `got ${signal}\n`, stderr: "", exitCode: 5 });
    });

    test("SIGKILL of gocker leaves the container, and a command without a terminal, which ends with its pipes", async () => {
      const child = runner.start(["exec", "-i", "main", "sh", "-c", "echo $$ > /tmp/killed; exec cat"]);
      await until(
        "it runs",
        () => existsSync(inside("tmp/killed")) && readFileSync(inside("tmp/killed"), "utf8") !== "",
      );
      const number = readFileSync(inside("tmp/killed"), "utf8").trim();
      child.kill("SIGKILL");
      await child.exited;
      expect(main.exitCode).toBeNull();
      void child.stdin.end();
      await until("the command has ended", () => !existsSync(inside(`proc/${number}`)));
      expect(await exec("main", "echo", "lives")).toEqual(success("lives\n"));
    });
  });

  describe("-d", () => {
    test("returns when the program runs; nothing of gocker is left, and nobody sees what is written", async () => {
      const script =
        "echo $$ > /tmp/detached; echo lost; echo lost >&2; ls -l /proc/self/fd > /tmp/files; exec sleep 1000";
      expect(await shell(script, "-d")).toEqual(success(""));
      await until("it has begun", () => cmdline("/tmp/detached") === "sleep\u00001000\u0000");
      const number = readFileSync(inside("tmp/detached"), "utf8").trim();
      expect(readFileSync(inside("tmp/files"), "utf8")).not.toMatch(/socket|pipe|dev\/null/);
      const gockers = runner.sandbox.processes().filter((one) => readlinkSync(`/proc/${one}/exe`) === gockerBinary());
      expect(gockers).toEqual([main.pid]);
      const own = hostNumber(number);
      expect(statusOf(own)).toMatch(/^PPid:\t1$/m);
      expect(await shell(`kill -9 ${number}`)).toEqual(success(""));
      await until("the host's init has waited for it", () => !existsSync(`/proc/${own}`));
    });

    test("with -t it has a terminal, whose output is thrown away as long as there is any", async () => {
      const script =
        "tty > /tmp/tty; head -c 300000 /dev/zero; stty -a > /dev/null && echo through > /tmp/through; sleep 1000";
      expect(await shell(`echo $$ > /tmp/with-terminal; ${script}`, "-dt")).toEqual(success(""));
      await until("it has written all of that", () => existsSync(inside("tmp/through")));
      expect(readFileSync(inside("tmp/tty"), "utf8")).toMatch(/^\/dev\/pts\/\d+\n$/);
      const holder = terminalHolders();
      expect(holder).toHaveLength(1);
      expect(await shell("kill -9 $(cat /tmp/with-terminal)")).toEqual(success(""));
      await until("who held the terminal has ended", () => !existsSync(`/proc/${holder[0]}`));
    });

    const cmdline = (file: string) => {
      const number = existsSync(inside(file)) ? readFileSync(inside(file), "utf8").trim() : "";
      const place = inside(`proc/${number}/cmdline`);
      return number !== "" && existsSync(place) ? readFileSync(place, "utf8") : "";
    };
  });

  test("the container's end ends all commands in it", async () => {
    const child = runner.start(["run", "--rm", "--init", "--name", "ending", image, "sleep", "1000"]);
    await until("it runs", async () => (await exec("ending", "true")).exitCode === 0);
    const ready = join(runner.sandbox.directory, "begun");
    const script = `$G exec ending sh -c "echo begun; exec sleep 1000" >${ready}; echo $?`;
    const command = onHost(script);
    await until("the command runs", () => existsSync(ready) && readFileSync(ready, "utf8") === "begun\n");
    child.kill("SIGTERM");
    expect((await outcomeOf(child)).exitCode).toBe(143);
    expect(await command).toEqual(success("137\n"));
  });

  test("into a container that is being started: its command runs when that does, or not at all", async () => {
    for (let round = 0; round < 5; round++) {
      const child = runner.start(["run", "--rm", "-i", "--name", "starting", image, "cat"]);
      const seen: string[] = [];
      await until("a command has run", async () => {
        const { stdout, stderr, exitCode } = await exec(
          "starting",
          "sh",
          "-c",
          "ls /etc/alpine-release; cat /proc/1/comm",
        );
        seen.push(stderr);
        if (exitCode === 0) expect(stdout).toBe("/etc/alpine-release\ncat\n");
        return exitCode === 0;
      });
      for (const stderr of seen.slice(0, -1)) expect(stderr).toMatch(/no such container|is not running/);
      expect((await outcomeOf(child)).exitCode).toBe(0);
    }
  });

  test("a container that was started in the background, again and again", async () => {
    expect(
      (await runner.gocker(["run", "-d", "--name", "behind", "-u", "nobody", image, "sleep", "1000"])).exitCode,
    ).toBe(0);
    expect(await exec("behind", "id", "-un")).toEqual(success("nobody\n"));
    expect((await runner.gocker(["restart", "-t", "0", "behind"])).exitCode).toBe(0);
    expect(await exec("behind", "id", "-un")).toEqual(success("nobody\n"));
    expect(await runner.gocker(["rm", "-f", "behind"])).toEqual(success("behind\n"));
  });

  test("is told to those who follow events", async () => {
    const { current } = eventLogPaths(runner.sandbox.state);
    const before = readFileSync(current, "utf8").length;
    expect((await exec("main", "sh", "-c", "exit 3")).exitCode).toBe(3);
    const lines = readFileSync(current, "utf8").slice(before).trimEnd().split("\n");
    const events = lines.map(
      (line) => JSON.parse(line) as { Action: string; Actor: { ID: string; Attributes: object } },
    );
    expect(events.map(({ Action, Actor }) => ({ Action, ...Actor }))).toEqual([
      { Action: "exec_create: sh -c exit 3", ID: id, Attributes: expect.objectContaining({ name: "main" }) },
      { Action: "exec_start: sh -c exit 3", ID: id, Attributes: expect.objectContaining({ name: "main" }) },
      { Action: "exec_die", ID: id, Attributes: expect.objectContaining({ name: "main", exitCode: "3" }) },
    ]);
    const ids = events.map(({ Actor }) => (Actor.Attributes as { execID: string }).execID);
    expect(new Set(ids).size).toBe(1);
  });

  test("a container that does not run", async () => {
    expect((await runner.gocker(["run", "--name", "over", image, "true"])).exitCode).toBe(0);
    expect(await exec("over", "true")).toEqual({
      stdout: "",
      stderr: "gocker: container over is not running\n  hint: `gocker ps` lists the containers that do\n",
      exitCode: 1,
    });
    expect(await runner.gocker(["rm", "over"])).toEqual(success("over\n"));
  });

  test("a container that is paused", async () => {
    const freezers = containerCgroups(new Set([id])).flatMap((cgroup) => [
      { file: `${cgroup}/freezer.state`, frozen: "FROZEN", thawed: "THAWED" },
      { file: `${cgroup}/cgroup.freeze`, frozen: "1", thawed: "0" },
    ]);
    const freezer = freezers.find(({ file }) => existsSync(file));
    if (freezer === undefined) throw new Error("the container has no freezer");
    writeFileSync(freezer.file, freezer.frozen);
    try {
      expect(await exec("main", "true")).toEqual({
        stdout: "",
        stderr: "gocker: container main is paused\n  hint: let it go on first: gocker unpause main\n",
        exitCode: 1,
      });
    } finally {
      writeFileSync(freezer.file, freezer.thawed);
    }
    expect(await exec("main", "true")).toEqual(success(""));
  });

  /** The number of a process by the number that it has in the container. proc_pid_status(5), NSpid */
  function hostNumber(number: string): number {
    const processes = containerCgroups(new Set([id])).flatMap((cgroup) =>
      readFileSync(`${cgroup}/cgroup.procs`, "latin1").split("\n").filter(Boolean),
    );
    const found = processes.find((one) => new RegExp(`^NSpid:.*\\t${number}$`, "m").test(statusOf(Number(one))));
    if (found === undefined) throw new Error(`the container has no process ${number}`);
    return Number(found);
  }
});

function statusOf(pid: number): string {
  return existsSync(`/proc/${pid}`) ? readFileSync(`/proc/${pid}/status`, "latin1") : "";
}

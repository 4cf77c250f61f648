import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, type Runner, success } from "../helpers/runner.ts";

const layers = [alpineLayer];

/** Docker's capabilities of a container, as the mask in /proc/self/status. */
const defaultMask = "00000000a80425fb";
const noMask = "0000000000000000";

describe.skipIf(!canRunCorpus)("the container's process", () => {
  let runner: Runner;
  let image: string;
  let configured: string;
  beforeAll(async () => {
    runner = await createRunner([], {
      "plain:1": { layers },
      "configured:1": {
        layers,
        config: { User: "guest", WorkingDir: "/srv/app", Env: ["PATH=/bin:/usr/bin", "A=image", "B=image", "C="] },
      },
    });
    image = runner.image("plain:1");
    configured = runner.image("configured:1");
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  const shell = (flags: readonly string[], script: string, of = image) =>
    runner.run([...flags, of, "sh", "-c", script]);

  describe("environment", () => {
    const variables = async (flags: readonly string[], of = image, env: Record<string, string> = {}) => {
      const { stdout, stderr, exitCode } = await runner.run(["-h", "box", ...flags, of, "env"], { env });
      expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
      return stdout.trimEnd().split("\n").toSorted();
    };
    const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    test("nothing of the host's", async () => {
      expect(await variables([], image, { SECRET: "x", LANG: "de_DE", BUN_OPTIONS: "" })).toEqual([
        "HOME=/root",
        "HOSTNAME=box",
        path,
      ]);
    });

    test("the image's, then files, then -e; the last of equal ones wins", async () => {
      const file = join(runner.sandbox.directory, "variables");
      await Bun.write(file, '# comment\n\nB=file\nD=a # b\nFROM_HOST\nNOT_SET\n  E="quoted"\nF=\n');
      const flags = ["--env-file", file, "-e", "A=1", "-eA=2", "--env=G=x=y", "-e", "HOST_TOO", "-e", "C"];
      expect(await variables(flags, configured, { FROM_HOST: "host", HOST_TOO: "too" })).toEqual([
        "A=2",
        "B=file",
        "D=a # b",
        'E="quoted"',
        "F=",
        "FROM_HOST=host",
        "G=x=y",
        "HOME=/dev/null",
        "HOSTNAME=box",
        "HOST_TOO=too",
        "PATH=/bin:/usr/bin",
      ]);
    });

    test("HOME is the user's, unless it is given", async () => {
      expect(await variables(["-u", "nobody"])).toContain("HOME=/");
      expect(await variables(["-u", "4321"])).toContain("HOME=/");
      expect(await variables(["-u", "mail"])).toContain("HOME=/var/mail");
      expect(await variables(["-e", "HOME=/else"])).toContain("HOME=/else");
    });

    test("a file with a fault is refused with its line", async () => {
      const file = join(runner.sandbox.directory, "wrong");
      await Bun.write(file, "A=1\nB C=2\n");
      expect(await runner.run(["--env-file", file, image, "env"])).toEqual({
        stdout: "",
        stderr: `gocker: ${file}:2: the variable name "B C" has white space in it\n`,
        exitCode: 125,
      });
    });
  });

  describe("user", () => {
    const ids = "id -u; id -g; id -G";
    test.each([
      ["root", "0\n0\n0 1 2 3 4 6 10 11 20 26 27\n"],
      ["0", "0\n0\n0 1 2 3 4 6 10 11 20 26 27\n"],
      ["guest", "405\n100\n100\n"],
      ["405", "405\n100\n100\n"],
      ["4321", "4321\n0\n0\n"],
      ["guest:wheel", "405\n10\n10\n"],
      ["guest:77", "405\n77\n77\n"],
      ["4321:8765", "4321\n8765\n8765\n"],
      [":wheel", "0\n10\n10\n"],
    ])("-u %s", async (user, expected) => {
      expect(await shell(["-u", user], ids)).toEqual(success(expected));
    });

    test("the image's, which -u replaces", async () => {
      expect(await shell([], ids, configured)).toEqual(success("405\n100\n100\n"));
      expect(await shell(["-u", "0:0"], ids, configured)).toEqual(success("0\n0\n0\n"));
    });

    test("--group-add comes on top", async () => {
      expect(await shell(["-u", "guest", "--group-add", "wheel", "--group-add", "77"], ids)).toEqual(
        success("405\n100\n100 10 77\n"),
      );
    });

    test.each([
      [["-u", "nosuch"], "user nosuch", "/etc/passwd"],
      [["-u", "guest:nosuch"], "group nosuch", "/etc/group"],
      [["--group-add", "nosuch"], "group nosuch", "/etc/group"],
    ])("%j does not exist", async (flags, who, file) => {
      const { stdout, stderr, exitCode } = await shell(flags, ids);
      expect(stderr).toStartWith(`gocker: unable to find ${who}: no such entry in the container's ${file}\n  hint: `);
      expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
    });

    test("a user other than root has no capabilities, but may get them by setuid programs", async () => {
      const script = "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f2";
      expect(await shell(["-u", "guest"], script)).toEqual(
        success([noMask, noMask, noMask, defaultMask, noMask, ""].join("\n")),
      );
    });

    test("its standard output is its own to open again", async () => {
      expect(await shell(["-u", "guest"], "echo out >/dev/stdout; echo err >/dev/stderr")).toEqual({
        stdout: "out\n",
        stderr: "err\n",
        exitCode: 0,
      });
    });
  });

  test("working directory: /, the image's, -w; made when it is missing", async () => {
    expect(await shell([], "pwd")).toEqual(success("/\n"));
    expect(await shell([], "pwd; stat -c '%u %a' .", configured)).toEqual(success("/srv/app\n0 755\n"));
    expect(await shell(["-w", "/etc/apk"], "pwd; ls arch", configured)).toEqual(success("/etc/apk\narch\n"));
    expect(await shell(["-w", "/new/../deep/er/"], "pwd")).toEqual(success("/deep/er\n"));
    const { stderr, exitCode } = await shell(["-w", "/etc/passwd"], "pwd");
    expect(stderr).toContain("/etc/passwd");
    expect(exitCode).toBe(125);
  });

  test("--ulimit sets the soft and the hard limit", async () => {
    const flags = ["--ulimit", "nofile=100:200", "--ulimit", "core=0", "--ulimit", "fsize=4096"];
    const script = "ulimit -Sn; ulimit -Hn; ulimit -c; head -c 9999 /dev/zero >/x; stat -c %s /x";
    expect(await shell(flags, script)).toMatchObject({ stdout: "100\n200\n0\n4096\n", exitCode: 0 });
  });

  describe("privileges", () => {
    const status = "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | cut -f2";
    const last = Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8"));
    const hostBounding = /^CapBnd:\t(\w+)$/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1] ?? "";
    test.each([
      [[], defaultMask, "0", "2"],
      [["--cap-drop", "ALL"], noMask, "0", "2"],
      [["--cap-drop", "all", "--cap-add", "CAP_NET_ADMIN", "--cap-add", "chown"], "0000000000001001", "0", "2"],
      [["--cap-drop", "MKNOD"], "00000000a00425fb", "0", "2"],
      [["--cap-add", "SYS_ADMIN"], "00000000a82425fb", "0", "2"],
      [["--security-opt", "no-new-privileges"], defaultMask, "1", "2"],
      [["--security-opt", "no-new-privileges:true"], defaultMask, "1", "2"],
      [["--security-opt", "seccomp=unconfined"], defaultMask, "0", "0"],
      [["--privileged"], hostBounding, "0", "0"],
      [["--cap-add", "ALL"], hostBounding, "0", "2"],
    ])("%j", async (flags, mask, noNewPrivileges, seccomp) => {
      expect(last).toBeGreaterThan(30);
      expect(await shell(flags, status)).toEqual(success(`${mask}\n${mask}\n${noNewPrivileges}\n${seccomp}\n`));
    });

    test("what they are good for: mounting, naming the host, making devices", async () => {
      const script = `
        try() { if "$@" 2>/dev/null; then echo yes; else echo no; fi; }
        try mount -t tmpfs none /mnt; try hostname other; try mknod /null c 1 3; try sh -c 'echo 1 >/proc/sys/kernel/domainname'`;
      expect(await shell([], script)).toEqual(success("no\nno\nyes\nno\n"));
      expect(await shell(["--cap-drop", "ALL"], script)).toEqual(success("no\nno\nno\nno\n"));
      expect(await shell(["--cap-add", "SYS_ADMIN"], script)).toEqual(success("yes\nyes\nyes\nno\n"));
      expect(await shell(["--privileged"], script)).toEqual(success("yes\nyes\nyes\nyes\n"));
    });

    test("--privileged has the host's devices, all else has none of them", async () => {
      const hidden = "test -e /dev/kmsg && echo seen || echo none";
      expect(await shell([], hidden)).toEqual(success("none\n"));
      expect(await shell(["--privileged"], hidden)).toEqual(success("seen\n"));
      // Not even by making the node oneself: 1:11 is kmsg.
      const made = "mknod /kmsg c 1 11 && head -c 1 /kmsg >/dev/null && echo open";
      expect(await shell([], made)).toMatchObject({ stdout: "", exitCode: 1 });
    });

    test("a seccomp profile of the user's", async () => {
      const profile = join(runner.sandbox.directory, "profile.json");
      const rules = [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 95 }];
      await Bun.write(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls: rules }));
      const flags = ["--security-opt", `seccomp=${profile}`];
      expect(await shell(flags, "mkdir /x; echo $?; grep ^Seccomp: /proc/self/status | cut -f2")).toEqual({
        stdout: "1\n2\n",
        stderr: "mkdir: can't create directory '/x': Not supported\n",
        exitCode: 0,
      });
      await Bun.write(profile, "{}");
      expect(await shell(flags, "true")).toMatchObject({ stdout: "", exitCode: 125 });
    });
  });

  describe("--init", () => {
    test("process 1 reaps what others leave, and the command is its child", async () => {
      const script = `
        echo $$; sh -c 'true & exec sleep 0.01' ; (sh -c 'sleep 0.02 &' )
        while [ -n "$(ls -d /proc/[0-9]* 2>/dev/null | xargs -n1 basename | while read pid; do grep -l sleep /proc/$pid/comm 2>/dev/null; done)" ]; do :; done
        grep -l 'State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l`;
      expect(await shell(["--init"], script)).toEqual(success("2\n0\n"));
    });

    test("the end of the command ends the container, with its exit code", async () => {
      expect(await shell(["--init"], "sleep 1000 & exit 7")).toEqual({ stdout: "", stderr: "", exitCode: 7 });
      expect(await runner.run(["--init", image, "no-such-command"])).toEqual({
        stdout: "",
        stderr: "gocker: cannot run no-such-command: executable file not found in the container's PATH\n",
        exitCode: 127,
      });
    });
  });

  test("umask, signals and open files are those of a fresh process", async () => {
    const script = "umask; grep -E '^Sig(Blk|Ign):' /proc/self/status | cut -f2; ls /proc/self/fd | wc -l";
    // Three and the one with which ls reads the directory.
    expect(await shell([], script)).toEqual(success(`0022\n${noMask}\n${noMask}\n4\n`));
    expect(runner.leftovers()).toEqual([]);
  });
});

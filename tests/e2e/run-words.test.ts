import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { symlinkSync } from "node:fs";
import { join } from "node:path";

import { gockerBinary } from "../helpers/binary.ts";
import { alpineLayer, canRunCorpus, tool } from "../helpers/corpus-images.ts";
import { createRunner, type Runner, success } from "../helpers/runner.ts";

const layers = [alpineLayer];

describe.skipIf(!canRunCorpus)("the words after the image", () => {
  let runner: Runner;
  let plain: string;
  let both: string;
  let nothing: string;
  beforeAll(async () => {
    runner = await createRunner([], {
      "plain:1": { layers, config: { Cmd: ["echo", "by CMD"] } },
      "both:1": { layers, config: { Entrypoint: ["echo", "by ENTRYPOINT"], Cmd: ["with CMD"] } },
      "nothing:1": { layers },
    });
    [plain, both, nothing] = ["plain:1", "both:1", "nothing:1"].map((name) => runner.image(name)) as [
      string,
      string,
      string,
    ];
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  describe("the six rules", () => {
    test("1: none: ENTRYPOINT and CMD", async () => {
      expect(await runner.run([both])).toEqual(success("by ENTRYPOINT with CMD\n"));
      expect(await runner.run([plain])).toEqual(success("by CMD\n"));
    });

    test("2: a first word without - is a command, whatever ENTRYPOINT is", async () => {
      expect(await runner.run([both, "printf", "%s|", "-x", "--", "a b"])).toEqual(success("-x|--|a b|"));
      expect(await runner.run([plain, "id", "-u"])).toEqual(success("0\n"));
    });

    test("3: a first word with - is an argument of ENTRYPOINT, and -- goes", async () => {
      expect(await runner.run([both, "-x", "y"])).toEqual(success("by ENTRYPOINT -x y\n"));
      expect(await runner.run([both, "--", "get", "pods"])).toEqual(success("by ENTRYPOINT get pods\n"));
      expect(await runner.run([both, "--", "--", "-x"])).toEqual(success("by ENTRYPOINT -- -x\n"));
      expect(await runner.run([both, "--"])).toEqual(success("by ENTRYPOINT\n"));
      // Without an ENTRYPOINT what follows is all there is.
      expect(await runner.run([plain, "--", "echo", "x"])).toEqual(success("x\n"));
    });

    test("4: --entrypoint replaces ENTRYPOINT and leaves CMD out; empty clears it", async () => {
      expect(await runner.run(["--entrypoint", "printf", both, "%s|", "a", "b"])).toEqual(success("a|b|"));
      expect(await runner.run(["--entrypoint=pwd", both])).toEqual(success("/\n"));
      expect(await runner.run(["--entrypoint", "", both, "echo", "x"])).toEqual(success("x\n"));
      expect(await runner.run(["--entrypoint", "echo", both, "--", "x"])).toEqual(success("-- x\n"));
    });

    test("5: called docker: always arguments of ENTRYPOINT", async () => {
      const link = join(runner.sandbox.directory, "docker");
      symlinkSync(gockerBinary(), link);
      const docker = (...words: string[]) => tool("env", ...environment(), link, "run", "--rm", ...words);
      const environment = () => Object.entries(runner.sandbox.environment).map(([key, value]) => `${key}=${value}`);
      expect(await docker(both, "get", "pods")).toBe("by ENTRYPOINT get pods\n");
      expect(await docker(both)).toBe("by ENTRYPOINT with CMD\n");
      expect(await docker(both, "--", "x")).toBe("by ENTRYPOINT -- x\n");
      expect(await docker(plain, "echo", "x")).toBe("x\n");
      expect(await docker("--entrypoint", "echo", both, "x")).toBe("x\n");
    });

    test("6: nothing to run, and a command that is not there", async () => {
      const hint = "the image has neither ENTRYPOINT nor CMD: put a command after it, such as `gocker run IMAGE sh`";
      const refused = { stdout: "", stderr: `gocker: no command specified\n  hint: ${hint}\n`, exitCode: 125 };
      expect(await runner.run([nothing])).toEqual(refused);
      expect(await runner.run(["--entrypoint", "", both])).toEqual(refused);
      expect(await runner.run([plain, "gte", "pods"])).toEqual({
        stdout: "",
        stderr: "gocker: cannot run gte: executable file not found in the container's PATH\n",
        exitCode: 127,
      });
      const example = `gocker run ${both} -- gte 'two words'`;
      expect(await runner.run([both, "gte", "two words"])).toEqual({
        stdout: "",
        stderr:
          "gocker: cannot run gte: executable file not found in the container's PATH\n" +
          `  hint: the image has ENTRYPOINT ["echo","by ENTRYPOINT"]; to pass arguments to it write: ${example}\n`,
        exitCode: 127,
      });
    });
  });

  test("options end at the image: the rest is the container's, --help too", async () => {
    expect(await runner.run([plain, "echo", "--rm", "-it", "--name=x", "--help"])).toEqual(
      success("--rm -it --name=x --help\n"),
    );
    expect(await runner.run([both, "--help"])).toEqual(success("by ENTRYPOINT --help\n"));
    const help = await runner.run([plain, "ls", "--help"]);
    expect(help.stderr).toContain("BusyBox");
    expect(help.exitCode).toBe(0);
    // A -- before the image ends the options too.
    expect(await runner.gocker(["run", "--rm", "--", plain, "echo", "x"])).toEqual(success("x\n"));
  });

  test("words reach the program as they are", async () => {
    const words = ["", " ", "a\nb", "*", "$HOME", "\\", "'\"", "ünïcode €", "\u{1f4e6}"];
    expect(await runner.run([plain, "printf", "<%s>", ...words])).toEqual(
      success(words.map((word) => `<${word}>`).join("")),
    );
    const long = "x".repeat(100_000);
    expect(await runner.run([plain, "sh", "-c", "echo ${#1}", "sh", long])).toEqual(success("100000\n"));
  });

  describe("exit codes", () => {
    test.each([0, 1, 42, 125, 126, 127, 255])("%d is the command's own", async (code) => {
      const outcome = await runner.run([plain, "sh", "-c", `exit ${code}`]);
      expect(outcome).toEqual({ stdout: "", stderr: "", exitCode: code });
    });

    // A process 1 is not killed by signals without a handler: its child is, and the shell tells.
    test.each([
      ["TERM", 143],
      ["KILL", 137],
      ["SEGV", 139],
    ])("128 and the number of SIG%s", async (signal, exitCode) => {
      const script = `sh -c 'kill -${signal} $$'; exit $?`;
      expect(await runner.run([plain, "sh", "-c", script])).toMatchObject({ stdout: "", exitCode });
      expect(await runner.run(["--init", plain, "sh", "-c", `kill -${signal} $$`])).toEqual({
        stdout: "",
        stderr: "",
        exitCode,
      });
    });

    test.each([
      ["a directory", "/etc", "permission denied"],
      ["a file without the right to execute it", "/etc/passwd", "permission denied"],
      ["a file that is no program", "/tmp/noise", "exec format error"],
      ["a program whose interpreter is not there", "/tmp/script", "no such file or directory"],
    ])("%s", async (_, path, reason) => {
      const files = join(runner.sandbox.directory, "files");
      await Bun.write(join(files, "noise"), new Uint8Array([0x7f, 1, 2, 3]));
      await Bun.write(join(files, "script"), "#!/no/such/interpreter\n");
      await tool("chmod", "-R", "755", files);
      const { stdout, stderr, exitCode } = await runner.run(["-v", `${files}:/tmp`, plain, path]);
      expect(stderr).toStartWith(`gocker: cannot run ${path}: `);
      expect(stderr).toContain(reason);
      expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: reason.startsWith("no such") ? 127 : 126 });
    });

    test("a path that leads nowhere", async () => {
      const { stderr, exitCode } = await runner.run([plain, "/no/such/program"]);
      expect(stderr).toStartWith("gocker: cannot run /no/such/program: ");
      expect(exitCode).toBe(127);
    });

    test("PATH is the container's", async () => {
      expect(await runner.run(["-e", "PATH=/nowhere", plain, "ls"])).toMatchObject({ stdout: "", exitCode: 127 });
      expect(await runner.run(["-e", "PATH=/nowhere:/bin", plain, "echo", "x"])).toEqual(success("x\n"));
    });
  });

  describe("misuse ends with 125, and says what to do", () => {
    test.each([
      [
        [],
        "gocker: run needs at least 1 argument, and got none",
        "usage: gocker run [OPTIONS] IMAGE [COMMAND] [ARG...]",
      ],
      [["--inti"], "gocker: run: unknown flag --inti", "did you mean --init? gocker run --help lists the flags"],
      [["-x"], "gocker: run: unknown flag -x", "gocker run --help lists the flags"],
      [["--name"], "gocker: run: --name needs a value (--name NAME)", "gocker run --help lists the flags"],
      [["--rm=maybe"], 'gocker: run: --rm is true or false, not "maybe"', "gocker run --help lists the flags"],
      [["--pull", "often"], 'gocker: run: --pull must be always, missing or never, not "often"', ""],
      [["-p", "80:", "IMAGE"], 'gocker: invalid --publish "80:": "" is no port', "8080:80"],
      [
        ["--network", "blue", "--network", "name=bridge,alias=x", "IMAGE"],
        "gocker: containers of the default network find each other by no names",
        "gocker network create",
      ],
      [["--ip", "10.77.0.9", "--network", "bridge", "IMAGE"], "gocker: addresses of the default network", "--subnet"],
      [["--network", "blue", "IMAGE"], "gocker: no such network: blue", "gocker network ls"],
      [["--name", "-x", "IMAGE"], 'gocker: invalid container name "-x"', ""],
      [["-u", "99999999999", "IMAGE"], "gocker: user and group numbers are between 0 and 2147483647", ""],
      [["-w", "relative", "IMAGE"], 'gocker: invalid --workdir "relative": it is not an absolute path', ""],
      [["-v", "a:b:c:d", "IMAGE"], "gocker: invalid", ""],
      [["--ulimit", "nofile", "IMAGE"], 'gocker: invalid --ulimit "nofile"', "nofile=1024:4096"],
      [["--ulimit", "nofiles=1", "IMAGE"], "gocker: ", ""],
      [["--cap-add", "FLY", "IMAGE"], 'gocker: invalid --cap-add "FLY": there is no such capability', ""],
      [["--security-opt", "fun", "IMAGE"], "gocker: ", "no-new-privileges"],
      [["--security-opt", "seccomp=/no/file", "IMAGE"], "gocker: ", ""],
      [["--dns", "one", "IMAGE"], 'gocker: invalid --dns "one": it is not an IP address', ""],
      [["--add-host", "x", "IMAGE"], 'gocker: invalid --add-host "x"', ""],
      [["--env-file", "/no/file", "IMAGE"], "gocker: cannot read the environment file /no/file", ""],
      [["--platform", "linux/a/b/c", "IMAGE"], "gocker: ", ""],
      [["UPPER/Case"], "gocker: ", "lower"],
      [[":tag"], "gocker: ", ""],
    ])("%j", async (words, message, hint) => {
      const { stdout, stderr, exitCode } = await runner.run(words.map((word) => (word === "IMAGE" ? plain : word)));
      expect(stderr).toStartWith(message);
      expect(stderr).toContain(hint);
      expect(stderr).not.toContain("internal error");
      expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
      expect(runner.leftovers()).toEqual([]);
    });
  });

  test("--help of run is gocker's before the image, and goes to stdout", async () => {
    const { stdout, stderr, exitCode } = await runner.gocker(["run", "--help"]);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    expect(stdout).toContain("--entrypoint");
  });
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { createSandbox, gocker, gockerBinary, type GockerOptions, type Sandbox } from "../helpers/binary.ts";
import { corpusPath, hasCorpus } from "../helpers/corpus.ts";
import { isRoot } from "../helpers/temporary.ts";

// The command line as a user meets it: words in; output, errors and exit code out.

describe("without an image", () => {
  test("--version and -v", async () => {
    const { version } = (await Bun.file(join(import.meta.dir, "../../package.json")).json()) as { version: string };
    for (const words of [["--version"], ["-v"], ["-D", "--version"]]) {
      expect(await gocker(words)).toMatchObject({ stdout: `gocker version ${version}\n`, stderr: "", exitCode: 0 });
    }
  });

  test("help is a result: of gocker, of a command, in all the ways in which people ask", async () => {
    for (const words of [[], ["--help"], ["-h"], ["help"]]) {
      const { stdout, stderr, exitCode } = await gocker(words);
      expect(stdout).toStartWith("gocker: containers from scratch");
      expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    }
    for (const words of [
      ["run", "--help"],
      ["help", "run"],
      ["run", "-it", "--help", "alpine"],
      ["--debug", "run", "--help"],
    ]) {
      const { stdout, stderr, exitCode } = await gocker(words);
      expect(stdout).toStartWith("gocker run: ");
      expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    }
    expect((await gocker(["ps", "-h"])).stdout).toStartWith("gocker ps: ");
  });

  const misuses: [words: string[], message: string][] = [
    [["rnu", "alpine"], 'gocker: there is no command "rnu"\n  hint: did you mean gocker run'],
    [["--nonsense"], "gocker: unknown flag --nonsense\n"],
    [["run"], "gocker: run needs at least 1 argument, and got none\n  hint: usage: gocker run [OPTIONS] IMAGE"],
    [["run", ""], "gocker: the image's name is empty\n"],
    [["run", "--nmae", "x", "alpine"], "gocker: run: unknown flag --nmae\n  hint: did you mean --name?"],
    [["run", "-h"], "gocker: run: -h needs a value (-h HOSTNAME)\n"],
    [
      ["run", "--use-api-socket", "alpine"],
      "gocker: run: --use-api-socket is a flag of Docker's that gocker does not have yet\n",
    ],
    [["rm"], "gocker: rm needs at least 1 argument, and got none\n"],
    [["pull", "a", "b"], "gocker: pull needs 1 argument, and got 2\n"],
    [["images", "a", "b"], "gocker: images needs at most 1 argument, and got 2\n"],
    [["ps", "x"], "gocker: ps takes no arguments, and got 1\n"],
    [
      ["version", "--format", "{{.Nonsense}}"],
      'gocker: template parsing error: template: :1:2: executing "" at <.Nonsense>: ',
    ],
  ];
  test.each(misuses)("%j is a misuse: 125, and one sentence on stderr", async (words, message) => {
    const { stdout, stderr, exitCode } = await gocker(words);
    expect(stderr).toStartWith(message);
    expect(stderr.split("\n").length).toBeLessThanOrEqual(3);
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
  });

  test("--debug tells where an error comes from, before the command or after it", async () => {
    for (const words of [
      ["--debug", "ps", "--nonsense"],
      ["-D", "ps", "x"],
      ["ps", "--debug", "x"],
    ]) {
      const { stderr } = await gocker(words);
      expect(stderr).toContain("error: UsageError [USAGE]: ");
      expect(stderr).toMatch(/^ +at /m);
    }
  });

  test("version tells the same in three forms", async () => {
    const [text, json, one] = await Promise.all([
      gocker(["version"]),
      gocker(["version", "--format", "json"]),
      gocker(["version", "-f", "{{.Version}} {{.Os}}/{{.Arch}}"]),
    ]);
    const record = JSON.parse(json.stdout) as { Version: string; Os: string; Arch: string };
    expect(text.stdout).toContain(`gocker:   ${record.Version}\n`);
    expect(one.stdout).toBe(`${record.Version} ${record.Os}/${record.Arch}\n`);
  });

  test("a reader that goes away is no error of gocker's", async () => {
    const script = `${gockerBinary()} run --help | exec 0<&-; echo "\${PIPESTATUS[0]}"`;
    const child = Bun.spawn(["bash", "-c", script], { stdout: "pipe", stderr: "pipe" });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    // Whether gocker writes before or after the reader has gone is up to the kernel.
    expect(["0\n", "141\n"]).toContain(stdout);
    expect(stderr).toBe("");
  });
});

const image = "images/docker-save-alpine-3.10.tar.gz";

describe.skipIf(!hasCorpus || !isRoot)("with an image", () => {
  let sandbox: Sandbox;
  const run = (words: string[], options: GockerOptions = {}) => sandbox.gocker(words, options);

  beforeAll(async () => {
    sandbox = await createSandbox();
    const loaded = await run(["load", "-i", corpusPath(image)]);
    expect(loaded).toMatchObject({ stdout: "Loaded image: alpine:3.10\n", exitCode: 0 });
  });
  afterAll(() => sandbox[Symbol.asyncDispose]());

  test("load tells its progress in lines when stderr is no terminal, and with -q nothing but the image", async () => {
    await using other = await createSandbox();
    const first = await other.gocker(["load", "-i", corpusPath(image)]);
    expect(first.stderr).toMatch(
      /^.*: 1 layer\n[0-9a-f]{12}: loaded, [\d.]+ [kM]B\nLoaded .* \(1 layer, [\d.]+ [kM]B in [\d.]+ s\)\n$/,
    );
    const again = await other.gocker(["load"], { stdin: await Bun.file(corpusPath(image)).bytes() });
    expect(again.stderr).toContain("already here\n");
    const quiet = await other.gocker(["load", "-q", "-i", corpusPath(image)]);
    expect(quiet).toMatchObject({ stdout: "Loaded image: alpine:3.10\n", stderr: "", exitCode: 0 });
  });

  test("images lists in every format", async () => {
    const table = (await run(["images"])).stdout;
    expect(table).toMatch(
      /^REPOSITORY {3}TAG {7}IMAGE ID {7}CREATED {7}SIZE\nalpine {7}3\.10 {6}af341ccd2df8 {3}\d+ years ago {3}5\.82MB\n$/,
    );
    expect((await run(["images", "-q"])).stdout).toBe("af341ccd2df8\n");
    expect((await run(["images", "-q", "--no-trunc"])).stdout).toMatch(/^sha256:af341ccd2df8[0-9a-f]{52}\n$/);
    expect(JSON.parse((await run(["images", "--format", "json"])).stdout)).toMatchObject({
      Repository: "alpine",
      Tag: "3.10",
      ID: "af341ccd2df8",
      Size: "5.82MB",
      Platform: "linux/amd64",
    });
    expect((await run(["images", "--format", "table {{.Tag}}\\t{{.ID}}"])).stdout).toBe(
      "TAG       IMAGE ID\n3.10      af341ccd2df8\n",
    );
    expect((await run(["images", "--digests"])).stdout).toContain("DIGEST");
    for (const words of [["alpine"], ["alpine:3.10"], ["-f", "reference=alp*:3.*"], ["-f", "dangling=false"]]) {
      expect((await run(["images", "-q", ...words])).stdout).toBe("af341ccd2df8\n");
    }
    for (const words of [["busybox"], ["alpine:4"], ["-f", "reference=*x*"], ["-f", "dangling=true"]]) {
      expect((await run(["images", "-q", ...words])).stdout).toBe("");
    }
  });

  test("everything after the image is the container's", async () => {
    const words = ["run", "--rm", "alpine:3.10", "echo", "--help", "-la", "--no-color", "--", "--rm", ""];
    expect(await run(words)).toMatchObject({ stdout: "--help -la --no-color -- --rm \n", stderr: "", exitCode: 0 });
  });

  test("flags reach the container", async () => {
    const script = 'echo "$A|$B|$(pwd)|$(id -u):$(id -g)|$(hostname)"; exit 7';
    const words = "run --rm -i -eA=1 -e B -w /tmp -u 5:6 -h box alpine:3.10 sh -c".split(" ");
    expect(await run([...words, script], { env: { B: "two" } })).toMatchObject({
      stdout: "1|two|/tmp|5:6|box\n",
      stderr: "",
      exitCode: 7,
    });
  });

  test("exit codes 126 and 127 with a reason", async () => {
    const missing = await run(["run", "--rm", "alpine:3.10", "no-such-program"]);
    expect(missing).toMatchObject({ stdout: "", exitCode: 127 });
    expect(missing.stderr).toStartWith("gocker: ");
    expect(missing.stderr).toContain("no-such-program");
    expect(await run(["run", "--rm", "alpine:3.10", "/etc"])).toMatchObject({ stdout: "", exitCode: 126 });
  });

  test("--explain=only prints the plan and runs nothing; --explain leaves the output to the container", async () => {
    const only = await run(["run", "--explain=only", "alpine:3.10", "echo", "hi"]);
    expect(only).toMatchObject({ stderr: "", exitCode: 0 });
    expect(only.stdout).toStartWith("A container in ");
    expect(only.stdout).toContain("clone3({flags=CLONE_NEWNS|CLONE_NEWPID");
    expect(only.stdout).toContain('execve("/bin/echo", ["echo", "hi"]');
    expect((await run(["ps", "-aq"])).stdout).toBe("");

    const both = await run(["run", "--rm", "--explain", "alpine:3.10", "echo", "hi"]);
    expect(both).toMatchObject({ stdout: "hi\n", exitCode: 0 });
    expect(both.stderr).toMatch(/^A container in \d+ system calls, [\d.]+ ms from the first step to the last\n/);
    expect(both.stderr).toContain("where the time went\n");
  });

  test("a container that stays is listed, in every format, until it is removed", async () => {
    expect((await run(["run", "--name", "kept", "-l", "a=b", "alpine:3.10", "sh", "-c", "exit 3"])).exitCode).toBe(3);
    const id = (await run(["ps", "-aq", "--no-trunc"])).stdout.trim();
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect((await run(["ps", "-q"])).stdout).toBe("");
    const table = (await run(["ps", "-a"])).stdout.split("\n");
    expect(table[0]).toMatch(/^CONTAINER ID {3}IMAGE {9}COMMAND {2,}CREATED {2,}STATUS {2,}PORTS {5}NAMES$/);
    expect(table[1]).toMatch(
      new RegExp(`^${id.slice(0, 12)} {3}alpine:3\\.10 {3}"sh -c 'exit 3'" .* Exited \\(3\\) .* ago .*kept$`),
    );
    expect(JSON.parse((await run(["ps", "-a", "--format", "json"])).stdout)).toMatchObject({
      ID: id.slice(0, 12),
      Names: "kept",
      State: "exited",
      Labels: "a=b",
      Command: `"sh -c 'exit 3'"`,
    });
    const finds = [
      "status=exited",
      "exited=3",
      "name=kep",
      `id=${id.slice(0, 5)}`,
      "ancestor=alpine:3.10",
      "label=a=b",
    ];
    for (const filter of finds)
      expect((await run(["ps", "-a", "-f", filter, "--format", "{{.Names}}"])).stdout).toBe("kept\n");
    for (const filter of ["status=running", "exited=4", "label=b"]) {
      expect((await run(["ps", "-aq", "-f", filter])).stdout).toBe("");
    }

    const removed = await run(["rm", "no-such", "kept", "neither"]);
    expect(removed).toMatchObject({ stdout: "kept\n", exitCode: 125 });
    expect(removed.stderr.match(/no-such|neither/g)).toEqual(["no-such", "neither"]);
    expect(await run(["rm", "-f", "kept"])).toMatchObject({ stdout: "", exitCode: 0 });
    expect((await run(["ps", "-aq"])).stdout).toBe("");
  });

  test("called by a link named docker, the words are always arguments of ENTRYPOINT", async () => {
    const link = join(sandbox.directory, "docker");
    await symlink(gockerBinary(), link);
    const child = Bun.spawn([link, "run", "--rm", "--entrypoint", "echo", "alpine:3.10", "-n", "as", "docker"], {
      env: { ...sandbox.environment },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect({ stdout, stderr, exitCode: await child.exited }).toEqual({ stdout: "as docker", stderr: "", exitCode: 0 });
  });

  test("--root and --state win over the environment, before the command and after it", async () => {
    await using other = await createSandbox();
    const words = ["--root", sandbox.root, "images", "-q", "--state", sandbox.state];
    expect((await other.gocker(words)).stdout).toBe("af341ccd2df8\n");
    expect((await other.gocker(["images", "-q", "--root=root"], { cwd: sandbox.directory })).stdout).toBe(
      "af341ccd2df8\n",
    );
  });

  test("info counts", async () => {
    const { stdout, stderr, exitCode } = await run(["info", "--format", "json"]);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    expect(JSON.parse(stdout)).toMatchObject({
      Images: 1,
      Containers: 0,
      GockerRootDir: sandbox.root,
      OSType: "linux",
    });
  });

  test("rmi takes the image away", async () => {
    await using other = await createSandbox();
    await other.gocker(["load", "-q", "-i", corpusPath(image)]);
    const { stdout, exitCode } = await other.gocker(["rmi", "alpine:3.10"]);
    expect(stdout).toMatch(/^Untagged: alpine:3\.10\nDeleted: sha256:af341ccd2df8[0-9a-f]{52}\n$/);
    expect(exitCode).toBe(0);
    expect((await other.gocker(["images", "-q"])).stdout).toBe("");
    expect(await other.gocker(["rmi", "alpine:3.10"])).toMatchObject({ exitCode: 125 });
    expect(await other.gocker(["rmi", "-f", "alpine:3.10"])).toMatchObject({ exitCode: 0 });
  });
});

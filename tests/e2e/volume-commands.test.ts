import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, linkSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";

import { canRunCorpus, alpineLayer } from "../helpers/corpus-images.ts";
import { createSandbox, type Sandbox } from "../helpers/binary.ts";
import { createRunner, outcomeOf, type Runner, success } from "../helpers/runner.ts";
import { isRoot } from "../helpers/temporary.ts";

describe.skipIf(!isRoot)("without containers", () => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await createSandbox();
  });
  afterAll(() => sandbox?.[Symbol.asyncDispose]());

  const volume = async (...words: string[]) => {
    const { stdout, stderr, exitCode } = await sandbox.gocker(["volume", ...words]);
    return { stdout, stderr, exitCode };
  };
  const data = (name: string) => `${sandbox.root}/volumes/${name}/_data`;

  test("the group alone shows its help, as with --help", async () => {
    for (const words of [[], ["--help"], ["-h"]]) {
      const { stdout, stderr, exitCode } = await volume(...words);
      expect(stdout).toStartWith("gocker volume: Manage volumes\n");
      expect(stdout).toContain("  prune     Remove volumes that no container has\n");
      expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    }
    const { stdout } = await sandbox.gocker(["help", "volume", "create"]);
    expect(stdout).toStartWith("gocker volume create: Make a volume\n");
    expect((await sandbox.gocker(["help", "volume"])).stdout).toStartWith("gocker volume: ");
  });

  test("misuse is told by the whole name", async () => {
    expect(await volume("lst")).toMatchObject({
      stderr: expect.stringContaining('there is no command "gocker volume lst"\n  hint: did you mean gocker volume ls'),
      exitCode: 125,
    });
    expect(await volume("rm")).toMatchObject({
      stderr:
        "gocker: volume rm needs at least 1 argument, and got none\n  hint: usage: gocker volume rm [OPTIONS] VOLUME [VOLUME...]\n",
      exitCode: 125,
    });
    expect(await volume("create", "--driver", "nfs")).toMatchObject({ exitCode: 125 });
    expect(await volume("create", "--scope", "x")).toMatchObject({
      stderr: expect.stringContaining("is a flag of Docker's that gocker does not have yet"),
    });
  });

  test.each(["x", ".x", "-x", "a/b", "../x", "a b", "ä1", "x".repeat(256)])("%j is no name", async (name) => {
    expect(await volume("create", "--", name)).toMatchObject({
      stdout: "",
      stderr: expect.stringContaining("invalid volume name"),
      exitCode: 125,
    });
  });

  test("create, inspect, ls, rm", async () => {
    expect(await volume("create", "--label", "tier=db", "--label", "bare", "first")).toEqual(success("first\n"));
    // Docker's command says no more than that either when the volume is there.
    expect(await volume("create", "first")).toEqual(success("first\n"));
    expect(existsSync(data("first"))).toBe(true);

    const { stdout } = await volume("inspect", "first");
    const [document] = JSON.parse(stdout) as [Record<string, unknown>];
    expect(stdout).toStartWith('[\n    {\n        "CreatedAt": "');
    expect(Object.keys(document)).toEqual("CreatedAt Driver Labels Mountpoint Name Options Scope".split(" "));
    expect(document).toEqual({
      CreatedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      Driver: "local",
      Labels: { tier: "db", bare: "" },
      Mountpoint: data("first"),
      Name: "first",
      Options: null,
      Scope: "local",
    });
    expect(await volume("inspect", "-f", "{{.Name}} {{.Labels.tier}}", "first")).toEqual(success("first db\n"));

    expect(await volume("create", "second")).toEqual(success("second\n"));
    expect(await volume("ls")).toEqual(success("DRIVER    VOLUME NAME\nlocal     first\nlocal     second\n"));
    expect(await volume("list", "-q")).toEqual(success("first\nsecond\n"));
    expect(await volume("ls", "--format", "{{.Name}}:{{.Labels}}")).toEqual(success("first:tier=db,bare=\nsecond:\n"));
    const json = await volume("ls", "--format", "json", "-f", "name=first");
    expect(JSON.parse(json.stdout)).toEqual({
      Availability: "N/A",
      Driver: "local",
      Group: "N/A",
      Labels: "tier=db,bare=",
      Links: "N/A",
      Mountpoint: data("first"),
      Name: "first",
      Scope: "local",
      Size: "N/A",
      Status: "N/A",
    });

    expect(await volume("rm", "first", "none", "second")).toEqual({
      stdout: "first\nsecond\n",
      stderr: "gocker: no such volume: none\n  hint: `gocker volume ls` lists the volumes\n",
      exitCode: 125,
    });
    expect(await volume("rm", "-f", "none")).toEqual(success("none\n"));
    expect(await volume("ls", "-q")).toEqual(success(""));
    expect(readdirSync(`${sandbox.root}/volumes`)).toEqual([".lock"]);
  });

  test("what does not exist is told beside what does", async () => {
    await volume("create", "here");
    const { stdout, stderr, exitCode } = await volume("inspect", "gone", "here");
    expect((JSON.parse(stdout) as { Name: string }[]).map(({ Name }) => Name)).toEqual(["here"]);
    // Docker's words, which scripts look for.
    expect(stderr).toBe("Error: no such volume: gone\n");
    expect(exitCode).toBe(1);
    expect(await volume("inspect", "gone", "../x")).toMatchObject({ stdout: "[]\n", exitCode: 1 });
    await volume("rm", "here");
  });

  test.each([
    [["name=ab"], ["abc", "xab"]],
    [["name=^ab"], ["abc"]],
    [
      ["name=xab", "name=^abc$"],
      ["abc", "xab"],
    ],
    [["name=("], []],
    [["label=a"], ["abc", "xab"]],
    [["label=a", "label=b=2"], ["abc"]],
    [["driver=local"], ["abc", "other", "xab"]],
    [["driver=nfs"], []],
    [["dangling=true"], ["abc", "other", "xab"]],
    [["dangling=0"], []],
  ])("ls --filter %j", async (filters, expected) => {
    await volume("create", "--label=a=1", "--label=b=2", "abc");
    await volume("create", "--label=a", "xab");
    await volume("create", "other");
    const flags = filters.flatMap((filter) => ["--filter", filter]);
    expect(await volume("ls", "-q", ...flags)).toEqual(success(expected.map((name) => `${name}\n`).join("")));
  });

  test("a wrong filter is a misuse", async () => {
    expect(await volume("ls", "-f", "dangling=maybe")).toMatchObject({ exitCode: 125 });
    expect(await volume("ls", "-f", "colour=red")).toMatchObject({ exitCode: 125 });
  });

  test("prune asks, removes what has no name, and tells how much that was", async () => {
    const [one, two] = await Promise.all([volume("create"), volume("create")]);
    const [first = "", second = ""] = [one.stdout.trim(), two.stdout.trim()].toSorted();
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    await volume("create", "--label", "keep", "named");
    writeFileSync(`${data(first)}/file`, "x".repeat(1500));
    linkSync(`${data(first)}/file`, `${data(first)}/again`);
    truncateSync(`${data(first)}/again`, 1200);
    writeFileSync(`${data(second)}/file`, "x".repeat(300));

    const question =
      "WARNING! This will remove anonymous local volumes not used by at least one container.\n" +
      "Are you sure you want to continue? [y/N] ";
    for (const stdin of ["", "n\n", "yes\n", "\n"]) {
      const { stdout, exitCode } = await sandbox.gocker(["volume", "prune"], { stdin });
      expect({ stdout, exitCode }).toEqual({ stdout: question, exitCode: 0 });
    }
    expect(existsSync(data(first))).toBe(true);
    expect((await volume("inspect", first)).stdout).toContain('"com.docker.volume.anonymous": ""');

    const pruned = await sandbox.gocker(["volume", "prune"], { stdin: "Y\n" });
    expect(pruned).toMatchObject({
      stdout: `${question}Deleted Volumes:\n${first}\n${second}\n\nTotal reclaimed space: 1.5kB\n`,
      stderr: "",
      exitCode: 0,
    });
    expect(await volume("prune", "-f")).toEqual(success("Total reclaimed space: 0B\n"));
  });

  test("prune --all with filters", async () => {
    for (const name of ["abc", "xab", "other", "named"]) await volume("create", name);
    expect((await volume("prune", "-af", "--filter", "label!=a", "--filter", "label!=keep")).stdout).toBe(
      "Deleted Volumes:\nother\n\nTotal reclaimed space: 0B\n",
    );
    expect((await volume("prune", "-f", "--filter", "all=1", "--filter", "label=a=1")).stdout).toBe(
      "Deleted Volumes:\nabc\n\nTotal reclaimed space: 0B\n",
    );
    const asked = await sandbox.gocker(["volume", "prune", "-a"], { stdin: "y" });
    expect(asked.stdout).toStartWith(
      "WARNING! This will remove all local volumes not used by at least one container.\n",
    );
    expect(asked.stdout).toEndWith("Deleted Volumes:\nnamed\nxab\n\nTotal reclaimed space: 0B\n");
  });

  test("the log of events tells of volumes that were made and removed", async () => {
    await using own = await createSandbox();
    for (const words of [
      ["create", "told"],
      ["create", "told"],
      ["rm", "told"],
    ])
      await own.gocker(["volume", ...words]);
    const events = readFileSync(`${own.state}/events.jsonl`, "utf8").trimEnd().split("\n");
    expect(events.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { Type: "volume", Action: "create", Actor: { ID: "told", Attributes: { driver: "local" } } },
      { Type: "volume", Action: "destroy", Actor: { ID: "told", Attributes: { driver: "local" } } },
    ]);
  });

  test("what killed commands have left goes with the next one", async () => {
    await volume("create", "stays");
    const left = [".new-x", ".removing-y"].map((name) => `${sandbox.root}/volumes/${name}`);
    for (const path of left) await Bun.$`mkdir -p ${path}/_data`.quiet();
    expect(await volume("ls", "-q")).toEqual(success("stays\n"));
    expect(left.filter((path) => existsSync(path))).toEqual([]);
  });

  test("a volume whose record a loss of power has taken keeps its files", async () => {
    writeFileSync(`${data("stays")}/file`, "x");
    writeFileSync(`${sandbox.root}/volumes/stays/volume.json`, "");
    expect(await volume("inspect", "-f", "{{.Name}} {{json .Labels}}", "stays")).toEqual(success("stays null\n"));
    writeFileSync(`${sandbox.root}/volumes/stays/volume.json`, "{");
    const { stdout, stderr, exitCode } = await volume("ls", "-q");
    expect(stderr).toStartWith("gocker: warning: volume stays is left out: ");
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 0 });
    expect(await volume("prune", "-af")).toEqual(success("Total reclaimed space: 0B\n"));
    expect(existsSync(`${data("stays")}/file`)).toBe(true);
  });
});

describe.skipIf(!canRunCorpus)("with containers", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner([], {
      "plain:1": { layers: [alpineLayer] },
      "volume:1": { layers: [alpineLayer], config: { Volumes: { "/data": {} } } },
    });
    image = runner.image("plain:1");
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());
  const names = async (...filters: string[]) =>
    (await runner.gocker(["volume", "ls", "-q", ...filters])).stdout.split("\n").slice(0, -1);

  test("what a container has stays until the container is removed, whether it runs or not", async () => {
    const child = runner.start(["run", "--name", "user", "-i", "-v", "used:/mnt", image, "cat"]);
    const { id } = await runner.untilRunning();
    const inUse = {
      stdout: "",
      stderr: `gocker: volume used is in use by ${id.slice(0, 12)}\n  hint: remove the container first: gocker rm\n`,
      exitCode: 125,
    };
    expect(await runner.gocker(["volume", "rm", "used"])).toEqual(inUse);
    expect(await runner.gocker(["volume", "rm", "-f", "used"])).toEqual(inUse);
    expect(await names("-f", "dangling=false")).toEqual(["used"]);
    expect(await outcomeOf(child)).toMatchObject({ exitCode: 0 });
    expect(await runner.gocker(["volume", "rm", "used"])).toEqual(inUse);
    expect((await runner.gocker(["volume", "prune", "-af"])).stdout).toBe("Total reclaimed space: 0B\n");
    expect(await runner.gocker(["rm", "-v", "user"])).toEqual(success("user\n"));
    expect(await names("-f", "dangling=true")).toEqual(["used"]);
    expect(await runner.gocker(["volume", "rm", "used"])).toEqual(success("used\n"));
  });

  test("anonymous volumes of a stopped container go with rm -v, and are left without", async () => {
    const flags = ["-v", "/one", "-v", "named:/two", runner.image("volume:1"), "true"];
    for (const name of ["first", "second"]) await runner.gocker(["run", "--name", name, ...flags]);
    expect(await names()).toHaveLength(5);
    await runner.gocker(["rm", "first"]);
    expect(await names()).toHaveLength(5);
    await runner.gocker(["rm", "-v", "second"]);
    expect(await names()).toHaveLength(3);
    expect((await runner.gocker(["volume", "prune", "-f"])).stdout).toMatch(
      /^Deleted Volumes:\n[0-9a-f]{64}\n[0-9a-f]{64}\n\nTotal reclaimed space: 0B\n$/,
    );
    expect(await names()).toEqual(["named"]);
    await runner.gocker(["volume", "rm", "named"]);
  });

  test("--volumes-from: another container's volumes and binds, by its names and rights", async () => {
    const bound = `${runner.sandbox.directory}/bound`;
    const flags = ["-v", "/own", "-v", "named:/named", "-v", `${bound}:/bound:ro`, "--tmpfs", "/t"];
    await runner.gocker(["run", "--name", "owner", ...flags, image, "sh", "-c", "touch /own/a /named/b /t/c"]);
    const look = "ls -A /own /named /bound; touch /own/x; touch /named/y; touch /bound/z; ls -d /t";
    expect(await runner.run(["--volumes-from", "owner", image, "sh", "-c", look])).toEqual({
      stdout: "/bound:\n\n/named:\nb\n\n/own:\na\n",
      stderr: "touch: /bound/z: Read-only file system\nls: /t: No such file or directory\n",
      exitCode: 1,
    });
    // The other container's anonymous volume has outlived one with --rm.
    expect(await runner.run(["--volumes-from", "owner:ro", image, "touch", "/own/n"])).toEqual({
      stdout: "",
      stderr: "touch: /own/n: Read-only file system\n",
      exitCode: 1,
    });
    const over = ["--volumes-from", "owner", "-v", `${bound}:/own`, image, "ls", "/own", "/named"];
    expect(await runner.run(over)).toEqual(success("/named:\nb\ny\n\n/own:\n"));

    await runner.gocker(["run", "--name", "heir", "--volumes-from", "owner", image, "true"]);
    await runner.gocker(["rm", "-v", "owner"]);
    expect(await names()).toHaveLength(2);
    await runner.gocker(["rm", "-v", "heir"]);
    expect(await names()).toEqual(["named"]);
    expect(await runner.run(["--volumes-from", "owner", image, "true"])).toMatchObject({
      stderr: expect.stringContaining("no such container: owner"),
      exitCode: 125,
    });
    await runner.gocker(["volume", "rm", "named"]);
    expect(runner.leftovers()).toEqual([]);
  });

  test("many at once use, make and remove one volume, and none fails or loses it", async () => {
    const use = () => runner.run(["-v", "contested:/mnt", image, "sh", "-c", "echo x >>/mnt/file && wc -l </mnt/file"]);
    const remove = () => runner.gocker(["volume", "rm", "-f", "contested"]);
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        (index % 3 === 2 ? remove() : use()).then((outcome) => ({ index, outcome })),
      ),
    );
    for (const { index, outcome } of outcomes) {
      if (index % 3 !== 2) {
        expect(outcome).toMatchObject({ stdout: expect.stringMatching(/^[1-8]\n$/), stderr: "", exitCode: 0 });
      } else if (outcome.exitCode !== 0) expect(outcome.stderr).toContain("volume contested is in use by ");
    }
    await remove();
    expect(await names()).toEqual([]);
    expect(readdirSync(`${runner.sandbox.root}/volumes`)).toEqual([".lock"]);
  });
});

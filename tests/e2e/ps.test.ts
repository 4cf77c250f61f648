import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { openCgroup } from "../../src/runtime/cgroup/open.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, outcomeOf, type Runner, success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

describe.skipIf(!canRunCorpus)("gocker ps", () => {
  let runner: Runner;
  let image: string;
  let child: ReturnType<Runner["start"]>;
  let running: string;
  beforeAll(async () => {
    const config = { Cmd: ["sh"], ExposedPorts: { "80/tcp": {} } };
    runner = await createRunner([], {
      "base:1": { layers: [alpineLayer], config },
      // The same files, and nothing of its history.
      "sister:1": { layers: [alpineLayer], config: { Labels: { other: "yes" } } },
      "other:1": { layers: [Bun.gzipSync(new Uint8Array(10_240))] },
    });
    image = runner.image("base:1");
    const run = (name: string, code: number, ...flags: readonly string[]) =>
      runner.gocker(["run", "--name", name, ...flags, image, "sh", "-c", `printf 12345 >/file; exit ${code}`]);
    expect((await run("first", 0, "-l", "tier=back", "--network", "none")).exitCode).toBe(0);
    expect((await run("second", 3, "-l", "tier=front", "-l", "com.x.y-z=v", "-v", "data:/d")).exitCode).toBe(3);
    child = runner.start(["run", "--name", "third", image, "sleep", "1000"]);
    await until("the third one runs", async () => {
      running = (await ps("-q", "--no-trunc")).stdout.trim();
      return running !== "";
    });
  });
  afterAll(async () => {
    if (child !== undefined) {
      await runner.gocker(["rm", "-f", "third"]);
      await outcomeOf(child);
    }
    await runner?.[Symbol.asyncDispose]();
  });

  const ps = (...words: readonly string[]) => runner.gocker(["ps", ...words]);
  const names = async (...words: readonly string[]) => {
    const { stdout, stderr, exitCode } = await ps("--format", "{{.Names}}", ...words);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    return stdout.split("\n").slice(0, -1);
  };

  test("which containers", async () => {
    expect(await names()).toEqual(["third"]);
    expect(await names("-a")).toEqual(["third", "second", "first"]);
    expect(await names("-l")).toEqual(["third"]);
    expect(await names("-n", "2")).toEqual(["third", "second"]);
    expect(await names("-n", "-1")).toEqual(["third"]);
    expect(await names("-n", "1", "-f", "name=^first$")).toEqual(["first"]);
    expect((await ps("-q", "--no-trunc")).stdout).toBe(`${running}\n`);
    expect((await ps("-qs")).stdout).toBe(`${running.slice(0, 12)}\n`);
  });

  const filters: [words: string[], names: string[]][] = [
    [["name=ir"], ["third", "first"]],
    [["status=exited"], ["second", "first"]],
    [["exited=3"], ["second"]],
    [["label=tier=back"], ["first"]],
    [["label=tier", "label=com.x.y-z"], ["second"]],
    [["before=second"], ["first"]],
    [["since=first"], ["third", "second"]],
    [["volume=data"], ["second"]],
    [["network=none"], ["first"]],
    [["expose=80"], ["third", "second", "first"]],
    [["publish=80"], []],
    [["health=none"], ["third", "second", "first"]],
    [["status=exited", "name=first"], ["first"]],
  ];
  test.each(filters)("-a with filters %j", async (texts, expected) => {
    expect(await names("-a", ...texts.flatMap((text) => ["-f", text]))).toEqual(expected);
  });

  test("of an image, and of those that are made of it", async () => {
    expect(await names("-a", "-f", `ancestor=${image}`)).toHaveLength(3);
    const id = (await runner.gocker(["inspect", "-f", "{{.Image}}", "third"])).stdout.trim();
    for (const text of [id, id.slice(7, 19)]) expect(await names("-a", "-f", `ancestor=${text}`)).toHaveLength(3);
    for (const other of ["other:1", "sister:1"]) {
      expect(await names("-a", "-f", `ancestor=${runner.image(other)}`)).toEqual([]);
    }
    expect(await names("-a", "-f", "ancestor=nothing-like-it")).toEqual([]);
  });

  test("what is refused", async () => {
    const refused: [filter: string, message: string][] = [
      ["is-task=true", "gocker: there is no filter is-task: tasks are Docker's swarm's, and gocker has none\n"],
      ["status=up", "gocker: invalid --filter status=up: it is created, "],
      ["since=nope", "gocker: no such container: nope\n"],
    ];
    for (const [filter, message] of refused) {
      const { stdout, stderr, exitCode } = await ps("-f", filter);
      expect(stderr).toStartWith(message);
      expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
    }
    expect((await ps("--format", "{{.Nope}}")).stderr).toStartWith(
      'gocker: template parsing error: template: :1:2: executing "" at <.Nope>: ',
    );
  });

  test("the table, with sizes and by a template", async () => {
    const shown = image.replaceAll(".", "\\.");
    expect((await ps()).stdout).toMatch(
      new RegExp(
        `^CONTAINER ID   IMAGE +COMMAND        CREATED +STATUS +PORTS     NAMES\n${running.slice(0, 12)}   ${shown}   "sleep 1000"   .* ago +Up .* {13}third\n$`,
      ),
    );
    const sizes = await ps("-as", "--format", "{{.Names}} {{.Size}}", "-f", "status=exited");
    expect(sizes.stdout).toMatch(/^second 5B \(virtual [\d.]+MB\)\nfirst 5B \(virtual [\d.]+MB\)\n$/);
    // A template that shows sizes has them without -s.
    expect((await ps("-a", "--format", "{{.Names}} {{.Size}}", "-f", "status=exited")).stdout).toBe(sizes.stdout);
    expect((await ps("-as")).stdout.split("\n")[0]).toEndWith("NAMES     SIZE");
    expect(
      await ps("-a", "-f", "label=com.x.y-z", "--format", 'table {{.Names}}\\t{{.Label "com.x.y-z"}}\\t{{.Mounts}}'),
    ).toEqual(success("NAMES     y z       MOUNTS\nsecond    v         data\n"));
    const [line = ""] = (await ps("--format", "json")).stdout.split("\n");
    expect(JSON.parse(line)).toMatchObject({ Names: "third", State: "running", Networks: "host", Size: "0B" });
  });

  test("one that is paused", async () => {
    using cgroup = openCgroup(`/gocker/${running}`);
    cgroup.freeze();
    try {
      expect((await ps("--format", "{{.State}} {{.Status}}")).stdout).toMatch(/^paused Up .* \(Paused\)\n$/);
      expect(await names("-f", "status=paused")).toEqual(["third"]);
      expect(await names("-f", "status=running")).toEqual([]);
    } finally {
      cgroup.thaw();
    }
    expect(await names("-f", "status=running")).toEqual(["third"]);
  });

  test("one that its policy starts again", async () => {
    const started = await runner.gocker(["run", "-d", "--restart", "always", "--name", "again", image, "false"]);
    expect(started.exitCode).toBe(0);
    try {
      await until("it has failed", async () => (await names("-f", "status=restarting")).includes("again"));
      const { stdout } = await runner.gocker(["inspect", "-f", "{{.State.Restarting}} {{.State.ExitCode}}", "again"]);
      // It may just run, or have done so.
      expect(stdout).toMatch(/^(true|false) [01]\n$/);
      await until("it says so", async () =>
        /^Restarting \(1\) .* ago\n$/.test((await ps("-f", "name=again", "--format", "{{.Status}}")).stdout),
      );
    } finally {
      expect((await runner.gocker(["rm", "-f", "again"])).exitCode).toBe(0);
    }
  });

  test("port: nothing is published", async () => {
    expect(await runner.gocker(["port", "third"])).toEqual(success(""));
    expect(await runner.gocker(["port", "third", "80"])).toEqual({
      stdout: "",
      stderr: "Error: no public port '80/tcp' published for third\n",
      exitCode: 1,
    });
  });
});

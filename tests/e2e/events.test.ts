import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, outcomeOf, type Runner, success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

// Images and volumes: what else happens to containers is told where the verbs are tested.
describe.skipIf(!canRunCorpus)("gocker events", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner(["library/busybox:musl"]);
    image = runner.image("library/busybox:musl");
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  const name = () => image.replace(/:musl$/, "");

  test("tells of the past, in its words, as JSON and by a template", async () => {
    const words = ["events", "--until", "0s"];
    const lines = await runner.gocker(words);
    expect(lines).toEqual(success(expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}\S+ image pull /)));
    expect(lines.stdout).toEndWith(` image pull ${image} (name=${name()})\n`);
    const json = await runner.gocker([...words, "--format", "json"]);
    expect(Object.entries(JSON.parse(json.stdout) as object)).toEqual([
      ["status", "pull"],
      ["id", image],
      ["Type", "image"],
      ["Action", "pull"],
      ["Actor", { ID: image, Attributes: { name: name() } }],
      ["scope", "local"],
      ["time", expect.any(Number)],
      ["timeNano", expect.any(Number)],
    ]);
    expect(json.stdout).toMatch(/"timeNano":\d{19}\}\n$/);
    const template =
      "{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.other}} {{.TimeNano}} {{json .}}";
    const { stdout } = await runner.gocker([...words, "--format", template]);
    expect(stdout).toMatch(/^image pull \S+ <no value> \d{19} \{"status":"pull",.*\}\n$/);
  });

  test("follows until a time, and filters", async () => {
    const format = ["--format", "{{.Action}}"];
    const following = runner.start(["events", "--since", "0", "--until", "-2s", "--filter", "event=untag", ...format]);
    const all = runner.start(["events", "--since", "0", ...format]);
    const reader = all.stdout.getReader();
    // The pull of before: whoever has read it follows from now on.
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("pull\n");
    const { exitCode } = await runner.gocker(["rmi", image]);
    expect(exitCode).toBe(0);
    let told = "";
    while (!told.endsWith("delete\n")) told += new TextDecoder().decode((await reader.read()).value);
    expect(told).toBe("untag\ndelete\n");
    await reader.cancel();
    // Its reader has gone: it ends with the next event, as others do by SIGPIPE.
    await runner.pull("library/busybox:musl");
    expect(await all.exited).toBe(141);
    expect(await all.stderr.text()).toBe("");
    expect(await outcomeOf(following)).toEqual(success("untag\n"));
  });

  test("volumes are mounted before each start and unmounted at each end", async () => {
    const program = ["-v", "data:/a", "-v", "data:/b:ro", image];
    const run = await runner.gocker(["run", "--rm", "--cidfile", idFile("foreground"), ...program, "true"]);
    expect(run).toEqual(success(""));
    const place = (destination: string, writable: boolean) =>
      `(container=ID, destination=${destination}, driver=local, propagation=, read/write=${writable})`;
    const mounts = [`volume mount data ${place("/a", true)}`, `volume mount data ${place("/b", false)}`];
    const unmounts = Array(2).fill("volume unmount data (container=ID, driver=local)");
    const ran = [...mounts, "start", ...unmounts, "die 0"];
    const foreground = readFileSync(idFile("foreground"), "utf8");
    expect(await lifeOf(foreground)).toEqual(["create", "attach", ...ran, "destroy"]);

    const again = await runner.gocker(["run", "-d", "--restart", "on-failure:1", ...program, "false"]);
    const id = again.stdout.trim();
    await runner.gocker(["wait", id]);
    const failed = [...ran.slice(0, -1), "die 1"];
    await until("it has ended twice", async () => (await lifeOf(id)).filter((event) => event === "die 1").length === 2);
    expect(await lifeOf(id)).toEqual(["create", ...failed, ...failed]);

    const refused = await runner.gocker(["run", "--cidfile", idFile("refused"), ...program, "/none"]);
    expect(refused.exitCode).toBe(127);
    const broken = await lifeOf(readFileSync(idFile("refused"), "utf8"));
    expect(broken).toEqual(["create", "attach", ...mounts, ...unmounts]);
    expect((await runner.gocker(["container", "prune", "-f"])).exitCode).toBe(0);
  });

  test("the end of a container whose gocker was killed is told by the next one", async () => {
    const child = runner.start(["run", "--rm", "-v", "data:/a", image, "sleep", "1000"]);
    const { id } = await runner.untilRunning();
    await until("it is told", async () => (await lifeOf(id)).at(-1) === "start");
    child.kill("SIGKILL");
    await child.exited;
    expect(await runner.gocker(["ps", "-aq"])).toEqual(success(""));
    const unmount = "volume unmount data (container=ID, driver=local)";
    expect((await lifeOf(id)).slice(-4)).toEqual(["start", unmount, "die 137", "destroy"]);
  });

  const idFile = (title: string) => `${runner.sandbox.directory}/id-${title}`;

  /** The events of a container and of its volumes. */
  async function lifeOf(id: string): Promise<string[]> {
    const { stdout } = await runner.gocker(["events", "--since", "1h", "--until", "0s"]);
    const lines = stdout.split("\n").map((line) => line.slice(line.indexOf(" ") + 1));
    return lines.flatMap((line) => {
      if (line.startsWith("volume") && line.includes(id)) return [line.replace(id, "ID")];
      const [, action, , exitCode] =
        /^container (\w+) ([0-9a-f]{64}) (?:.*exitCode=(\d+))?/.exec(line.includes(id) ? line : "") ?? [];
      return action === undefined ? [] : [exitCode === undefined ? action : `${action} ${exitCode}`];
    });
  }

  test.each([
    [["--since", "tomorrow"], "invalid --since"],
    [["--since", "0s", "--until", "1h"], "the time of --since is after that of --until"],
    [["--filter", "colour=red"], 'there is no filter "colour"'],
    [["--format", "{{.Nonsense}}", "--until", "0s"], "can't evaluate field Nonsense"],
  ])("%j is a misuse", async (words, message) => {
    const outcome = await runner.gocker(["events", ...words]);
    expect(outcome).toEqual({ stdout: "", stderr: expect.stringContaining(message), exitCode: 125 });
  });
});

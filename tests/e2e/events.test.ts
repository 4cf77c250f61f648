import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, outcomeOf, type Runner, success } from "../helpers/runner.ts";

// Images only: what happens to containers is told where the verbs are tested.
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

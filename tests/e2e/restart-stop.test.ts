import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { isSlow, patience } from "../helpers/patience.ts";
import { createRunner, type Runner, success } from "../helpers/runner.ts";

// A container that is being started again by its policy while somebody wants its end: sometimes the process that was to
// be ended has ended, and the next one has not begun.

describe.skipIf(!canRunCorpus)("a container that a policy is starting again", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  const attempts = isSlow ? 3 : 20;

  /** Ends once, soon, and runs for long when it is started again. */
  const script = "test -e /x && exec sleep 1000; touch /x; exit 1";

  const ways: [title: string, words: string[]][] = [
    ["rm -f", ["rm", "-f"]],
    ["stop -t 0", ["stop", "-t", "0"]],
    ["kill", ["kill"]],
  ];
  test.each(ways)("is ended by %s at any moment", async (_, words) => {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const started = await runner.gocker([
        "run",
        "-d",
        "--restart",
        "always",
        "--name",
        "web",
        image,
        "sh",
        "-c",
        script,
      ]);
      expect(started.exitCode).toBe(0);
      await Bun.sleep(Math.random() * patience(150));
      expect(await runner.gocker([...words, "web"], { timeout: 8_000 })).toEqual(success("web\n"));
      expect(await runner.gocker(["ps", "-q"])).toEqual(success(""));
      await runner.gocker(["rm", "-f", "web"]);
    }
    expect(runner.leftovers()).toEqual([]);
  });
});

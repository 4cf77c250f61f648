import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, outcomeOf, type Runner, success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

// What is sent to a container, who waits for what comes of it, and what events tell of that.
describe.skipIf(!canRunCorpus)("signals to a container", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  async function runDetached(name: string, ...words: readonly string[]): Promise<void> {
    const { stderr, exitCode } = await runner.gocker(["run", "-d", "--name", name, ...words]);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
  }

  const deaf = () => [image, "sleep", "1000"];
  const trapping = () => [image, "sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done"];
  const untilReady = (name: string) =>
    until(`${name} is ready`, async () => (await runner.gocker(["logs", name])).stdout === "ready\n");

  /** What is left of containers: who was just done with one may not have ended yet. */
  const left = () => runner.leftovers().filter((name) => !name.startsWith("process"));

  /** What events tell of a container, with signals and exit codes. */
  async function toldOf(name: string): Promise<string[]> {
    const format = '{{.Action}}{{with index .Actor.Attributes "signal"}} {{.}}{{end}}';
    const words = ["events", "--since", "1h", "--until", "0s", "--filter", "type=container"];
    const { stdout, stderr } = await runner.gocker([...words, "--filter", `container=${name}`, "--format", format]);
    expect(stderr).toBe("");
    return stdout.split("\n").filter((line) => line !== "");
  }

  describe("kill", () => {
    test("with SIGKILL returns when the container is at rest", async () => {
      // More often than once: without the wait some would be at rest all the same.
      for (let round = 0; round < 5; round++) {
        await runDetached("killed", ...deaf());
        expect(await runner.gocker(["kill", "killed"])).toEqual(success("killed\n"));
        expect((await runner.gocker(["ps", "-a", "--format", "{{.Status}}"])).stdout).toStartWith("Exited (137)");
        expect(await runner.gocker(["rm", "killed"])).toEqual(success("killed\n"));
      }
    });

    test("with --rm the name is free then", async () => {
      for (let round = 0; round < 5; round++) {
        await runDetached("freed", "--rm", ...deaf());
        expect(await runner.gocker(["kill", "-s", "9", "freed"])).toEqual(success("freed\n"));
        expect(left()).toEqual([]);
      }
    });

    test("of a container that belongs to the command that runs it, too", async () => {
      const child = runner.start(["run", "--rm", "--name", "own", ...deaf()]);
      await runner.untilRunning();
      expect(await runner.gocker(["kill", "own"])).toEqual(success("own\n"));
      expect(left()).toEqual([]);
      expect(await outcomeOf(child)).toEqual({ stdout: "", stderr: "", exitCode: 137 });
    });

    test("with another signal does not wait", async () => {
      await runDetached("asked", image, "sh", "-c", "trap 'echo got' TERM; echo ready; while :; do sleep 0.01; done");
      await untilReady("asked");
      expect(await runner.gocker(["kill", "-s", "TERM", "asked"])).toEqual(success("asked\n"));
      await until("it got the signal", async () => (await runner.gocker(["logs", "asked"])).stdout === "ready\ngot\n");
      expect((await runner.gocker(["ps", "--format", "{{.Names}}"])).stdout).toBe("asked\n");
      expect((await runner.gocker(["rm", "-f", "asked"])).exitCode).toBe(0);
    });

    test("of a paused one ends it", async () => {
      await runDetached("still", ...deaf());
      expect((await runner.gocker(["pause", "still"])).exitCode).toBe(0);
      expect(await runner.gocker(["kill", "still"])).toEqual(success("still\n"));
      expect(await runner.gocker(["rm", "still"])).toEqual(success("still\n"));
    });
  });

  describe("events tell of each signal", () => {
    test("of stop", async () => {
      await runDetached("good", ...trapping());
      await untilReady("good");
      expect(await runner.gocker(["stop", "good"])).toEqual(success("good\n"));
      expect(await toldOf("good")).toEqual(["create", "start", "kill 15", "die", "stop"]);
      await runDetached("bad", ...deaf());
      expect(await runner.gocker(["stop", "-t", "0", "-s", "INT", "bad"])).toEqual(success("bad\n"));
      expect(await toldOf("bad")).toEqual(["create", "start", "kill 2", "kill 9", "die", "stop"]);
      await runner.gocker(["rm", "good", "bad"]);
    });

    test("of restart", async () => {
      await runDetached("again", ...deaf());
      expect(await runner.gocker(["restart", "-t", "0", "again"])).toEqual(success("again\n"));
      const signals = ["kill 15", "kill 9"];
      expect(await toldOf("again")).toEqual(["create", "start", ...signals, "die", "stop", "start", "restart"]);
      await runner.gocker(["rm", "-f", "again"]);
    });

    test("of rm -f", async () => {
      await runDetached("removed", ...deaf());
      expect(await runner.gocker(["rm", "-f", "removed"])).toEqual(success("removed\n"));
      expect(await toldOf("removed")).toEqual(["create", "start", "kill 9", "die", "destroy"]);
    });

    test("of kill, once", async () => {
      await runDetached("hit", ...trapping());
      await untilReady("hit");
      expect(await runner.gocker(["kill", "-s", "TERM", "hit"])).toEqual(success("hit\n"));
      await runner.gocker(["wait", "hit"]);
      expect(await toldOf("hit")).toEqual(["create", "start", "kill 15", "die"]);
      await runner.gocker(["rm", "hit"]);
    });
  });

  test("events tell of who looks at a container, and at its processes", async () => {
    expect(await runner.gocker(["run", "--rm", "--name", "alone", image, "true"])).toEqual(success(""));
    expect(await toldOf("alone")).toEqual(["create", "attach", "start", "die", "destroy"]);
    expect(await runner.gocker(["run", "--name", "shown", image, "true"])).toEqual(success(""));
    expect(await runner.gocker(["start", "-a", "shown"])).toEqual(success(""));
    const run = ["attach", "start", "die"];
    expect(await toldOf("shown")).toEqual(["create", ...run, ...run]);
    await runDetached("seen", "-i", image, "cat");
    expect((await runner.gocker(["top", "seen"])).exitCode).toBe(0);
    const child = runner.start(["attach", "--sig-proxy=false", "seen"]);
    await until("it is shown", async () => (await toldOf("seen")).includes("attach"));
    child.kill("SIGKILL");
    await child.exited;
    expect((await runner.gocker(["rm", "-f", "seen"])).exitCode).toBe(0);
    expect(await toldOf("seen")).toEqual(["create", "start", "top", "attach", "kill 9", "die", "destroy"]);
    await runner.gocker(["rm", "shown"]);
  });
});

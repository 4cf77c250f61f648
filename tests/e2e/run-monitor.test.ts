import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";

import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, outcomeOf, type Runner, success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

// `run --rm` in the foreground does without a monitor, as long as nothing was asked for that only a monitor does.
describe.skipIf(!canRunCorpus)("run --rm has a monitor", () => {
  let runner: Runner;
  let image: string;
  let checked: string;
  beforeAll(async () => {
    const layers = [alpineLayer];
    const Healthcheck = { Test: ["CMD", "test", "-e", "/good"], Interval: 100_000_000, Retries: 1 };
    runner = await createRunner([], { "plain:1": { layers }, "checked:1": { layers, config: { Healthcheck } } });
    image = runner.image("plain:1");
    checked = runner.image("checked:1");
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  const hasMonitor = () => {
    const sockets = `${runner.sandbox.state}/monitors`;
    return existsSync(sockets) && readdirSync(sockets).length > 0;
  };

  /** Starts `gocker run --rm` of `cat`, which ends with its input. */
  async function start(...words: readonly string[]) {
    const child = runner.start(["run", "--rm", "-i", "--name", "web", ...words, "cat"]);
    await runner.untilRunning();
    return child;
  }

  async function end(child: ReturnType<Runner["start"]>): Promise<void> {
    expect(await outcomeOf(child)).toEqual(success(""));
    await until("nothing is left", () => runner.leftovers().length === 0 && !hasMonitor());
  }

  const untilHealth = (status: string) =>
    until(`it is ${status}`, async () => {
      const { stdout } = await runner.gocker(["inspect", "-f", "{{.State.Health.Status}}", "web"]);
      return stdout === `${status}\n`;
    });

  test("for the health check of its image", async () => {
    const child = await start(checked);
    await untilHealth("unhealthy");
    expect(await runner.gocker(["exec", "web", "touch", "/good"])).toEqual(success(""));
    await untilHealth("healthy");
    await end(child);
  });

  test("for one of the user's", async () => {
    const child = await start("--health-cmd", "true", "--health-interval", "100ms", image);
    await untilHealth("healthy");
    await end(child);
  });

  test("not for one that is switched off", async () => {
    const child = await start("--no-healthcheck", checked);
    expect(hasMonitor()).toBe(false);
    await end(child);
  });

  test.each([
    ["a log driver", ["--log-driver", "local"]],
    ["options of the log", ["--log-opt", "max-size=1m"]],
  ])("for %s, and what it writes is kept", async (_, words) => {
    const child = await start(...words, image);
    void child.stdin.write("kept\n");
    await child.stdin.flush();
    await until("it is kept", async () => (await runner.gocker(["logs", "web"])).stdout === "kept\n");
    void child.stdin.end();
    expect(await outcomeOf(child)).toEqual(success("kept\n"));
    await until("nothing is left", () => runner.leftovers().length === 0);
  });

  test("not for the usual log, nor for none; logs say that there is nothing to be had", async () => {
    const logs = (...words: readonly string[]) => runner.gocker(["logs", ...words, "web"], { timeout: 5_000 });
    const refused = (message: string) => ({ stdout: "", stderr: expect.stringContaining(message), exitCode: 125 });
    for (const words of [[], ["--log-driver", "json-file"]]) {
      const child = await start(...words, image);
      expect(hasMonitor()).toBe(false);
      const sentence = "container web has no log: what it writes goes to the command that runs it alone\n";
      expect(await logs()).toEqual(refused(sentence));
      expect(await logs("-f")).toEqual(refused(sentence));
      await end(child);
    }
    const child = await start("--log-driver", "none", image);
    expect(hasMonitor()).toBe(false);
    expect(await logs()).toEqual(refused("the container's log driver is none: there is no log"));
    await end(child);
  });

  test("a container that has not written anything yet, or was never started, has an empty log", async () => {
    expect((await runner.gocker(["create", "--name", "made", image, "true"])).exitCode).toBe(0);
    expect(await runner.gocker(["logs", "made"])).toEqual(success(""));
    expect((await runner.gocker(["run", "-d", "--name", "silent", image, "sleep", "1000"])).exitCode).toBe(0);
    expect(await runner.gocker(["logs", "silent"])).toEqual(success(""));
    expect((await runner.gocker(["run", "--name", "failed", image, "no-such"])).exitCode).toBe(127);
    expect(await runner.gocker(["logs", "failed"])).toEqual(success(""));
    expect((await runner.gocker(["rm", "-f", "made", "silent", "failed"])).exitCode).toBe(0);
  });

  test("with --explain there is none: what asks for one is refused, or told of", async () => {
    const refused = await runner.gocker(["run", "--explain", "--log-driver", "local", image, "true"]);
    expect(refused).toMatchObject({ stdout: "", exitCode: 125 });
    expect(refused.stderr).toContain("--explain shows a container that gocker starts itself, which has no monitor");
    const told = await runner.gocker(["run", "--explain", "--name", "explained", checked, "echo", "x"]);
    expect(told).toMatchObject({ stdout: "x\n", exitCode: 0 });
    expect(told.stderr).toContain("nobody looks at the container's health");
    expect(await runner.gocker(["logs", "explained"])).toMatchObject({ stdout: "", exitCode: 125 });
    expect((await runner.gocker(["rm", "explained"])).exitCode).toBe(0);
  });
});

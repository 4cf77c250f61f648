import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { gockerBinary } from "../helpers/binary.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, type Runner } from "../helpers/runner.ts";

const strace = Bun.which("strace");
if (strace === null) console.warn("run-host-programs: skipped, strace is not installed");

/** One binary is all that gocker needs: it executes no program of the host, under no name and by no search. */
describe.skipIf(!canRunCorpus || strace === null)("programs that gocker executes", () => {
  let runner: Runner;
  beforeAll(async () => {
    runner = await createRunner([], { "there:1": { layers: [alpineLayer] } });
    const config = { Entrypoint: ["/bin/sh", "-c"], Cmd: ["/bin/true && exec /bin/echo done"], User: "guest" };
    await runner.registry.pushImage("image:1", { layers: [alpineLayer, new Uint8Array(1024)], config });
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  /** The arguments of every execve and execveat in gocker and its children, in their order. */
  const executed = async (words: readonly string[]) => {
    const trace = join(runner.sandbox.directory, "trace");
    const options = ["-f", "-qq", "-s", "200", "-e", "trace=execve,execveat", "-e", "signal=none", "-o", trace];
    // PATH leads nowhere: what would be looked up there would be missed.
    const child = Bun.spawn([strace ?? "", ...options, gockerBinary(), ...words], {
      env: { ...runner.sandbox.environment, PATH: "/nowhere" },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    const calls = readFileSync(trace, "utf8").match(/execve(at)?\((.*)/g) ?? [];
    // Calls that were interrupted by another process's output stand there in two parts.
    return { stdout, calls: calls.map((call) => call.replace(/ (= \d+|<unfinished \.\.\.>)$/, "")) };
  };

  const itself = /^execve\("\S+\/gocker", \["\S+\/gocker", /;
  /** The sealed file in memory: gocker's child becomes the interpreter of steps, and the guard another. */
  const stub = /^execveat\(\d+, "", \["gocker"\], 0x\w+ \/\* 0 vars \*\/, AT_EMPTY_PATH\)$/;

  test("pull", async () => {
    const { calls } = await executed(["pull", "-q", runner.image("image:1")]);
    expect(calls).toEqual([expect.stringMatching(itself)]);
  });

  test("run: itself, what leaves its memory, and the container's own", async () => {
    const { stdout, calls } = await executed(["run", "--rm", "--network", "none", runner.image("image:1")]);
    expect(stdout).toBe("done\n");
    expect(calls[0]).toMatch(itself);
    const own = calls.slice(1).filter((call) => !stub.test(call));
    expect(own.map((call) => /^execve\("([^"]+)"/.exec(call)?.[1])).toEqual(["/bin/sh", "/bin/true", "/bin/echo"]);
    expect(calls.length - 1 - own.length).toBe(2);
  });

  test("run with all that could tempt one to call a tool", async () => {
    const flags = ["--init", "-v", "named:/data", "-v", "/anonymous", "--tmpfs", "/t", "--add-host", "a:10.0.0.1"];
    const more = ["--read-only", "--ulimit", "nofile=100", "--privileged", "--pull", "always", "-h", "box"];
    const { calls } = await executed(["run", "-q", "--rm", ...flags, ...more, runner.image("image:1"), "/bin/true"]);
    expect(calls[0]).toMatch(itself);
    const own = calls.slice(1).filter((call) => !stub.test(call));
    expect(own.map((call) => /^execve\("([^"]+)"/.exec(call)?.[1])).toEqual(["/bin/true"]);
  });

  test.each(["ps -a", "images", "info", "rmi IMAGE"])("%s", async (line) => {
    const words = line.split(" ");
    const given = words.map((word) => (word === "IMAGE" ? runner.image("there:1") : word));
    expect((await executed(given)).calls).toEqual([expect.stringMatching(itself)]);
  });
});

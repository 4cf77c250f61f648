import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";

import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { hostShell } from "../helpers/host-shell.ts";
import { createRunner, type Runner, success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

describe.skipIf(!canRunCorpus)("the input and the outputs of gocker exec", () => {
  let runner: Runner;
  let main: ReturnType<Runner["start"]>;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    main = runner.start(["run", "--rm", "-i", "--name", "main", runner.image("plain:1"), "cat"]);
    await until("it runs", async () => (await shell("true")).exitCode === 0);
  });
  afterAll(async () => {
    if (runner === undefined) return;
    void main.stdin.end();
    await main.exited;
    const left = runner.leftovers();
    await runner[Symbol.asyncDispose]();
    expect(left).toEqual([]);
  });

  const shell = (script: string) => runner.gocker(["exec", "main", "sh", "-c", script]);

  const onHost = (script: string) => hostShell(runner, script);

  test("stdout and stderr are two", async () => {
    expect(await shell("echo out; echo err >&2")).toEqual({ stdout: "out\n", stderr: "err\n", exitCode: 0 });
  });

  test("without -i there is nothing to read, and the caller's input stays where it is", async () => {
    expect(await runner.gocker(["exec", "main", "wc", "-c"], { stdin: "not for you" })).toEqual(success("0\n"));
    expect(await onHost("(echo one; echo two) | ($G exec main cat; cat)")).toEqual(success("one\ntwo\n"));
  });

  test.each([
    ["pipes", "cat $D/bytes | $G exec -i main cat | cat"],
    ["files", "$G exec -i main cat <$D/bytes >$D/copy; cat $D/copy"],
    [
      "a pipe that another user opens anew",
      "cat $D/bytes | $G exec -i -u nobody main sh -c 'cat /dev/stdin > /dev/stdout' | cat",
    ],
  ])("a megabyte of all bytes comes back the same through %s", async (_, script) => {
    const bytes = new Uint8Array(1024 * 1024).map((_byte, index) => (index * 7 + (index >> 8)) & 255);
    await Bun.write(join(runner.sandbox.directory, "bytes"), bytes);
    const digest = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
    expect(await onHost(`(${script}) | sha256sum`)).toEqual(success(`${digest}  -\n`));
  });

  test("a socket's bytes, too", async () => {
    const bytes = crypto.getRandomValues(new Uint8Array(65_536));
    const { bytes: back, exitCode } = await runner.sandbox.gocker(["exec", "-i", "main", "cat"], { stdin: bytes });
    expect(exitCode).toBe(0);
    expect(Buffer.compare(back, bytes)).toBe(0);
  });

  test("a reader that goes ends the writer", async () => {
    expect(await onHost("$G exec main yes | head -1; echo ${PIPESTATUS[0]}")).toEqual(success("y\n141\n"));
  });

  test("a reader who is slow gets all of what is passed on to him", async () => {
    // A little more than a pipe holds: the command has ended long before the reader begins.
    const script = "$G exec -t main seq 1 12000 | (sleep 1; sha256sum)";
    const all = Array.from({ length: 12_000 }, (_, index) => `${index + 1}\r\n`).join("");
    const digest = new Bun.CryptoHasher("sha256").update(all).digest("hex");
    expect(await onHost(script)).toEqual(success(`${digest}  -\n`));
  });

  test("nor is one that has the terminal open", async () => {
    const { stdout, exitCode } = await onHost("$G exec -t main sh -c 'trap \"\" HUP; sleep 1000 & echo $!' | cat");
    expect(exitCode).toBe(0);
    expect(await shell(`kill -9 ${stdout.trim()}`)).toEqual(success(""));
  });

  test("what a child of the command's has open is not waited for", async () => {
    // To a file, whose place a pipe of gocker's takes.
    const { stdout, exitCode } = await onHost("$G exec main sh -c 'sleep 1000 & echo $!' >$D/out; cat $D/out");
    expect(exitCode).toBe(0);
    expect(await shell(`kill -9 ${stdout.trim()}`)).toEqual(success(""));
  });
});

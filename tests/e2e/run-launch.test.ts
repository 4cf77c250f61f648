import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { gockerBinary } from "../helpers/binary.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, type Runner, success } from "../helpers/runner.ts";
import { TerminalSession } from "../helpers/terminal-session.ts";

/*
 * How gocker was started, and what of the host is given to the container: neither may decide whether a container starts,
 * or how it ends.
 */

describe.skipIf(!canRunCorpus)("a container", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
    await runner.gocker(["pull", "-q", image]);
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  const environment = () => ({ PATH: process.env["PATH"] ?? "", ...runner.sandbox.environment });

  /** A script of the host's bash, where `$G` is `gocker run --rm` and `$I` the image. */
  async function onHost(script: string, prefix: readonly string[] = []) {
    const child = Bun.spawn([...prefix, "bash", "-c", script], {
      env: { ...environment(), G: `${gockerBinary()} run --rm`, I: image },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: 20_000,
    });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return { stdout, stderr, exitCode: await child.exited };
  }

  test.each(["", "--init", "-t"])("ends as it should, whatever signals gocker's caller ignores (%s)", async (flag) => {
    const script = `trap '' HUP INT QUIT TERM USR1 USR2 ALRM CHLD PIPE TSTP TTIN TTOU WINCH
      exec $G ${flag} $I sh -c 'grep SigIgn /proc/self/status | cut -f2; exit 5'`;
    const { stdout, exitCode } = await onHost(script);
    expect([stdout.trim(), exitCode]).toEqual(["0000000000000000", 5]);
  });

  test("ends in the background of a shell too: its terminal is left to who is in the foreground", async () => {
    await using terminal = new TerminalSession(["bash", "--norc", "-i"], environment());
    terminal.type(
      `set +m; set -m; PS1=; ${gockerBinary()} run --rm ${image} stty -icanon < /dev/tty & wait; jobs -l; echo "status"=$?\n`,
    );
    await terminal.expect("status=0\n");
  });

  test("with a great deal pasted into it still shows what it does, and can be interrupted", async () => {
    const script = "stty raw -echo; echo ready; yes | head -c 300000; echo enough; sleep 1000";
    await using terminal = new TerminalSession(
      [gockerBinary(), "run", "--rm", "-it", image, "sh", "-c", script],
      environment(),
    );
    await terminal.expect("ready");
    // More than the kernel keeps for a terminal whose program does not read.
    terminal.type("x".repeat(400_000));
    await terminal.expect("enough");
    terminal.process.kill("SIGKILL");
  });

  describe("with the host's /dev", () => {
    test("has the host's devices and makes none there", async () => {
      const outcome = await runner.run(["--privileged", "-v", "/dev:/dev", image, "stat", "-c", "%t %T", "/dev/null"]);
      expect(outcome).toEqual(success("1 3\n"));
    });

    test("has a terminal there", async () => {
      const { stdout, exitCode } = await runner.run([
        "-t",
        "-v",
        "/dev:/dev",
        image,
        "sh",
        "-c",
        'test "$(tty)" && tty',
      ]);
      expect(stdout).toMatch(/^\/dev\/pts\/\d+\r\n$/);
      expect(exitCode).toBe(0);
    });
  });

  test("with a volume at /dev starts, and has its descriptors", async () => {
    expect(await runner.run(["-v", "/dev", image, "sh", "-c", "cat; echo end"])).toEqual(success("end\n"));
  });

  test.each([
    ["rshared", "seen\n"],
    ["rslave", ""],
    ["rprivate", ""],
  ])("shares what it mounts in a directory of the host's only when it is told to: %s", async (propagation, seen) => {
    const directory = join(runner.sandbox.directory, propagation);
    mkdirSync(directory);
    const mount = "mkdir /m/sub && mount -t tmpfs t /m/sub && touch /m/sub/seen";
    const script = `mount -t tmpfs t ${directory} && mount --make-shared ${directory} &&
      $G --cap-add SYS_ADMIN -v ${directory}:/m:${propagation} $I sh -c '${mount}' && ls ${directory}/sub`;
    // In mounts of the test's own, which go with it.
    expect(await onHost(script, ["unshare", "--mount", "--"])).toEqual(success(seen));
  });
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { gockerBinary } from "../helpers/binary.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { hasPodman, PodmanRunner } from "../helpers/podman-runner.ts";
import { createRunner, type Runner, success } from "../helpers/runner.ts";
import { makeTar, type TarMemberInput } from "../helpers/tar.ts";

// The first use of a volume: it gets what the image has at its place.

const many = 400;

/** Many files, each with a second name outside of the volume. */
const linkedLayer = new Uint8Array(
  makeTar([
    { name: "data/", type: "5", mode: 0o755 },
    { name: "elsewhere/", type: "5", mode: 0o755 },
    ...Array.from({ length: many }, (_, index): TarMemberInput[] => [
      { name: `data/file${index}`, content: `file ${index}\n` },
      { name: `elsewhere/file${index}`, type: "1", link: `data/file${index}` },
    ]).flat(),
  ]),
);

/** All kinds of files, in two layers, with things taken away by the upper one. */
const lowerLayer = new Uint8Array(
  makeTar([
    { name: "data/", type: "5", mode: 0o2775, uid: 405, gid: 100, mtime: 1_000_000 },
    { name: "data/file", content: "lower\n", mode: 0o4755, uid: 405, gid: 7, mtime: 2_000_000 },
    { name: "data/hard", type: "1", link: "data/file", mode: 0o4755, uid: 405, gid: 7, mtime: 2_000_000 },
    { name: "data/link", type: "2", link: "../etc/passwd", uid: 405 },
    { name: "data/fifo", type: "6", mode: 0o640 },
    { name: "data/null", type: "3", mode: 0o666, major: 1, minor: 3 },
    { name: "data/gone", content: "x" },
    { name: "data/opaque/", type: "5" },
    { name: "data/opaque/hidden", content: "x" },
    { name: "data/sub/", type: "5", mode: 0o700 },
    { name: "data/sub/both", content: "lower" },
  ]),
);
const upperLayer = new Uint8Array(
  makeTar([
    // podman takes directories that a layer does not name for root's.
    { name: "data/", type: "5", mode: 0o2775, uid: 405, gid: 100, mtime: 1_000_000 },
    { name: "data/.wh.gone", content: "" },
    { name: "data/opaque/", type: "5", mode: 0o711 },
    { name: "data/opaque/.wh..wh..opq", content: "" },
    { name: "data/opaque/shown", content: "x" },
    { name: "data/sub/", type: "5", mode: 0o700 },
    { name: "data/sub/both", content: "upper", mode: 0o600, mtime: 3_000_000 },
  ]),
);

describe.skipIf(!canRunCorpus)("the first use of a volume", () => {
  let runner: Runner;
  beforeAll(async () => {
    runner = await createRunner([], {
      "linked:1": { layers: [alpineLayer, linkedLayer] },
      "kinds:1": { layers: [alpineLayer, lowerLayer, upperLayer] },
    });
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  const look = "ls /data | wc -l; cat /data/file* | sort | uniq -c | awk '$1 != 1' | wc -l";
  const whole = success(`${many}\n0\n`);
  const use = (volume: string) => runner.run(["-v", `${volume}:/data`, runner.image("linked:1"), "sh", "-c", look]);

  test("of several at once each finds all of it", async () => {
    expect(await Promise.all(Array.from({ length: 6 }, () => use("raced")))).toEqual(Array(6).fill(whole));
  });

  test("that is killed at any moment is made good by the next one", async () => {
    for (let attempt = 0; attempt < 10; attempt++) {
      const volume = `killed${attempt}`;
      const child = runner.start(["run", "--rm", "-v", `${volume}:/data`, runner.image("linked:1"), "true"]);
      await Bun.sleep(20 + Math.random() * 150);
      child.kill("SIGKILL");
      await child.exited;
      expect(await use(volume)).toEqual(whole);
    }
    expect(runner.leftovers()).toEqual([]);
  });

  test("needs few open files, however many the image has linked to elsewhere", async () => {
    const words = ["run", "--rm", "-v", "few:/data", runner.image("linked:1"), "sh", "-c", look];
    const child = Bun.spawn(["sh", "-c", 'ulimit -n 160; exec "$0" "$@"', gockerBinary(), ...words], {
      env: { PATH: process.env["PATH"] ?? "", ...runner.sandbox.environment },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    expect({ stdout, stderr, exitCode }).toEqual(whole);
  });

  test.skipIf(!hasPodman)("gives what podman gives", async () => {
    await using podman = await PodmanRunner.create();
    const image = runner.image("kinds:1");
    await podman.pull(image);
    const list =
      "cd /data && find . | sort | xargs stat -c '%n %F %a %u %g %s %h %Y %t:%T' && cat sub/both && readlink link";
    const words = (flags: readonly string[]) => [...flags, image, "sh", "-c", list];
    const limits = ["--ulimit", "nofile=500:1000", "--ulimit", "nproc=5000:5000"];
    for (const flags of [
      ["-v", "same:/data"],
      ["--mount", "type=volume,src=spelt,dst=/data"],
      ["-v", "/data"],
      ["-u", "405:8", "-v", "given:/data:U"],
    ]) {
      const [ours, theirs] = [await runner.run(words(flags)), await podman.run("runc", [...limits, ...words(flags)])];
      expect({ stderr: theirs.stderr, exitCode: theirs.exitCode }).toEqual({ stderr: "", exitCode: 0 });
      expect({ stderr: ours.stderr, exitCode: ours.exitCode }).toEqual({ stderr: "", exitCode: 0 });
      const [top, ...rest] = linesOf(ours);
      const [theirTop, ...theirRest] = linesOf(theirs);
      expect(rest).toEqual(theirRest);
      // podman gives away what is in the volume, and the volume itself only when its user is another one.
      expect(top).toBe(flags.includes("-u") ? ". directory 2775 405 8 - 4 1000000 0:0" : (theirTop as string));
    }
  });

  test("leaves nothing behind", () => {
    expect(runner.leftovers()).toEqual([]);
  });
});

/** Without the sizes of directories, which are the file system's. */
function linesOf({ stdout }: { readonly stdout: string }): string[] {
  return stdout.replace(/^(\S+ directory \d+ \d+ \d+) \d+/gm, "$1 -").split("\n");
}

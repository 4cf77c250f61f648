import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";

import { createSandbox } from "../helpers/binary.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { patience } from "../helpers/patience.ts";
import { createRunner, type Outcome, Runner, success } from "../helpers/runner.ts";
import { TemporaryDirectory } from "../helpers/temporary.ts";

if (!canRunCorpus) console.warn("the size of root file systems is not tested: that needs root and the corpus");

/** How a file system whose projects have quotas is made, and what it says when one is full. */
const fileSystems = {
  ext4: { make: ["mkfs.ext4", "-q", "-O", "quota,project", "-E", "quotatype=prjquota"], full: "Quota exceeded" },
  xfs: { make: ["mkfs.xfs", "-q"], full: "No space left on device" },
} as const;

function call(...words: string[]): { readonly failed: boolean; readonly output: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(words);
  return { failed: exitCode !== 0, output: `${stdout.toString()}${stderr.toString()}` };
}

type FileSystem = keyof typeof fileSystems;

/** Mounts a new file system in a file. @returns why the kernel does not; undefined when it did */
function mountNew(kind: FileSystem, file: string, directory: string): string | undefined {
  for (const words of [
    ["truncate", "-s", "1G", file],
    [...fileSystems[kind].make, file],
  ]) {
    const { failed, output } = call(...words);
    if (failed) throw new Error(`${words.join(" ")}: ${output}`);
  }
  const { failed, output } = call("mount", "-o", "loop,prjquota", file, directory);
  return failed ? output.trim() : undefined;
}

/** Whether the kernel has quotas of projects on a file system. */
function isSupported(kind: FileSystem): boolean {
  using directory = new TemporaryDirectory("quota");
  const refusal = mountNew(kind, join(directory.path, "disk"), directory.path);
  if (refusal === undefined) return !call("umount", directory.path).failed;
  console.warn(
    `the size of root file systems is not tested on ${kind}, whose quotas the kernel does not have: ${refusal}`,
  );
  return false;
}

const supported = new Set(canRunCorpus ? (Object.keys(fileSystems) as FileSystem[]).filter(isSupported) : []);

/** A runner whose root directory is a file system with quotas of projects. */
class QuotaRunner extends Runner {
  static async create(kind: FileSystem, from: Runner): Promise<QuotaRunner> {
    const sandbox = await createSandbox();
    const refusal = mountNew(kind, join(sandbox.directory, "disk"), sandbox.root);
    if (refusal === undefined) return new QuotaRunner(sandbox, from.registry);
    await sandbox[Symbol.asyncDispose]();
    throw new Error(refusal);
  }

  /** The projects that have something or may not have more, as another program tells them: `#0 use soft hard …`. */
  projects(): string[] {
    const command = ["xfs_quota", "-f", "-x", "-c", "report -p -n -N -b", this.sandbox.root];
    const { failed, output } = call(...command);
    if (failed) throw new Error(output);
    const fields = output.split("\n").map((line) => line.trim().split(/\s+/));
    return fields.filter(([id = "", use, , hard]) => /^#[1-9]/.test(id) && (use !== "0" || hard !== "0")).map(String);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    const { failed, output } = call("umount", this.sandbox.root);
    await this.sandbox[Symbol.asyncDispose]();
    if (failed) throw new Error(output);
  }
}

describe.skipIf(!canRunCorpus)("--storage-opt size", () => {
  let plain: Runner;
  let image: string;
  beforeAll(async () => {
    plain = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = plain.image("plain:1");
  });
  afterAll(() => plain?.[Symbol.asyncDispose]());

  test("is refused where it cannot be kept, before anything is made", async () => {
    const { stdout, stderr, exitCode } = await plain.run(["--storage-opt", "size=20m", image, "true"]);
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
    expect(stderr).toStartWith(
      `gocker: --storage-opt size cannot be kept: the file system of ${plain.sandbox.root}/containers has no project quotas\n`,
    );
    expect(await plain.gocker(["ps", "-aq"])).toEqual(success(""));
  });

  test.each([
    ["inodes=5", 'invalid --storage-opt "inodes=5": it is not of the form size=SIZE'],
    ["size", 'invalid --storage-opt "size": it is not of the form size=SIZE'],
    ["size=much", '--storage-opt size must be a size such as 64m or 1g, not "much"'],
    ["size=0", "--storage-opt size must be more than 0"],
  ])("%s is refused", async (option, message) => {
    const { stdout, stderr, exitCode } = await plain.run(["--storage-opt", option, image, "true"]);
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
    expect(stderr).toStartWith(`gocker: ${message}\n`);
  });

  describe.each(Object.keys(fileSystems) as FileSystem[])("on %s", (kind) => {
    const testHere = test.skipIf(!supported.has(kind));
    let runner: QuotaRunner;
    beforeAll(async () => {
      if (!supported.has(kind)) return;
      runner = await QuotaRunner.create(kind, plain);
      await runner.pull("plain:1");
    }, patience(30_000));
    afterAll(() => runner?.[Symbol.asyncDispose]());

    const write = (megabytes: number) => `dd if=/dev/zero of=/file bs=1M count=${megabytes} 2>&1`;
    const { full } = fileSystems[kind];

    testHere("is the most that a container can write", async () => {
      const script = `df -P / | awk 'END { print $2 }'; ${write(40)}; du -sm /file | cut -f1`;
      const words = ["--name", "small", "--storage-opt", "size=20m", image, "sh", "-c", script];
      const made = await runner.gocker(["run", ...words]);
      expect(made).toEqual(success(expect.any(String)));
      const [size, ...lines] = made.stdout.split("\n");
      // ext4 tells what is left to a project as its size.
      expect(Number(size)).toBeLessThanOrEqual(20 * 1024);
      expect(lines.join("\n")).toContain(full);
      const written = Number(lines.at(-2));
      expect(written).toBeGreaterThan(10);
      expect(written).toBeLessThanOrEqual(20);
      expect(await runner.gocker(["inspect", "-f", "{{json .HostConfig.StorageOpt}}", "small"])).toEqual(
        success('{"size":"20971520"}\n'),
      );
      expect(runner.projects()).toHaveLength(1);
      expect(await runner.gocker(["rm", "small"])).toEqual(success("small\n"));
      expect(runner.projects()).toEqual([]);
    });

    testHere("is each container's own, and nobody else's", async () => {
      const ask = (name: string, flags: readonly string[]): Promise<Outcome> =>
        runner.gocker(["run", "--name", name, ...flags, image, "sh", "-c", `${write(30)} | tail -n 1`]);
      const outcomes = await Promise.all([
        ask("first", ["--storage-opt", "size=40m"]),
        ask("second", ["--storage-opt", "size=40m"]),
        ask("free", []),
      ]);
      for (const outcome of outcomes) expect(outcome).toEqual(success(expect.stringContaining("30.0MB")));
      expect(new Set(runner.projects()).size).toBe(2);
      await runner.gocker(["rm", "first", "second", "free"]);
      expect(runner.projects()).toEqual([]);
    });

    testHere("holds for what is copied up of the image, and for another start", async () => {
      const grow = `cat /bin/busybox /bin/busybox >/copy$RANDOM; ${write(40)} | grep -c '${full}'; rm /file`;
      const words = ["--name", "again", "--storage-opt", "size=10m", image, "sh", "-c", grow];
      expect(await runner.gocker(["create", ...words])).toEqual(success(expect.any(String)));
      expect(await runner.gocker(["start", "-a", "again"])).toEqual(success("1\n"));
      expect(await runner.gocker(["start", "-a", "again"])).toEqual(success("1\n"));
      await runner.gocker(["rm", "again"]);
      expect(runner.projects()).toEqual([]);
    });
  });
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { host } from "../helpers/cgroups.ts";
import { canRunCorpus } from "../helpers/corpus-images.ts";
import { patience } from "../helpers/patience.ts";
import { hasPodman, PodmanRunner } from "../helpers/podman-runner.ts";
import { createRunner, type Runner, success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

if (!hasPodman) console.warn("podman with gocker as its runtime: skipped, podman is not installed");

const isUnified = host.v1.length === 0 && host.v2 !== undefined;

/** podman, through conmon, calls the runtime as it calls crun and runc. */
describe.skipIf(!canRunCorpus || !hasPodman)("podman with gocker as its runtime", () => {
  let runner: Runner;
  let podman: PodmanRunner;
  let image: string;
  const limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000", "--network", "none"];
  const run = (words: readonly string[], options?: { readonly stdin?: string }) =>
    podman.withGocker(["run", "--rm", "--pull", "never", ...limits, ...words], options);

  beforeAll(async () => {
    runner = await createRunner(["library/alpine:3.19"]);
    image = runner.image("library/alpine:3.19");
    podman = await PodmanRunner.create();
    await podman.pull(image);
  }, patience(60_000));
  afterAll(async () => {
    await podman?.[Symbol.asyncDispose]();
    await runner?.[Symbol.asyncDispose]();
  });

  test("run: outputs, input, exit codes", async () => {
    expect(await run([image, "echo", "hello"])).toEqual(success("hello\n"));
    expect(await run(["-i", image, "cat"], { stdin: "some input" })).toEqual(success("some input"));
    expect(await run([image, "sh", "-c", "exit 7"])).toMatchObject({ exitCode: 7 });
    expect(await run([image, "nosuch"])).toMatchObject({ exitCode: 127 });
  });

  test("user, volume, limits, init", async () => {
    expect(await run(["--user", "1000:1000", image, "id", "-u"])).toEqual(success("1000\n"));
    expect(
      await run(["-v", "/etc/hostname:/mnt/name:ro", image, "sh", "-c", "echo x > /mnt/name || echo refused"]),
    ).toMatchObject({
      stdout: "refused\n",
      exitCode: 0,
    });
    const files = "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null";
    const unified = "cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/memory.max";
    expect(await run(["-m", "64m", "--pids-limit", "20", image, "sh", "-c", `${files} || ${unified}`])).toEqual(
      success(`20\n${64 * 2 ** 20}\n`),
    );
  });

  test.skipIf(!isUnified).each([[[]], [["--privileged"]]])(
    "the host's cgroups are seen in its namespace %p",
    async (flags) => {
      const script = 'test -e "/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/cgroup.procs" && echo seen';
      const words = ["--cgroupns", "host", ...flags, image, "sh", "-c", script];
      expect(await run(words)).toEqual(success("seen\n"));
    },
  );

  test(
    "detached: exec, pause, a shared namespace, stop",
    async () => {
      const started = await podman.withGocker([
        "run",
        "-d",
        "--name",
        "one",
        "--pull",
        "never",
        ...limits,
        image,
        "sleep",
        "1000",
      ]);
      expect(started).toMatchObject({ stderr: "", exitCode: 0 });
      expect(await podman.withGocker(["exec", "one", "sh", "-c", "echo $$; exit 5"])).toMatchObject({ exitCode: 5 });
      expect(await podman.withGocker(["exec", "one", "nosuch"])).toMatchObject({ exitCode: 127 });
      expect(await run(["--pid", "container:one", image, "sh", "-c", "ps | grep -c 'sleep 1000'"])).toMatchObject({
        exitCode: 0,
      });
      expect(await podman.withGocker(["pause", "one"])).toMatchObject({ exitCode: 0 });
      expect((await podman.withGocker(["ps", "-a", "--format", "{{.Status}}"])).stdout).toContain("Paused");
      expect(await podman.withGocker(["unpause", "one"])).toMatchObject({ exitCode: 0 });
      expect(await podman.withGocker(["stop", "-t", "0", "one"])).toMatchObject({ exitCode: 0 });
      await until("podman knows of the end", async () =>
        (await podman.withGocker(["ps", "-a", "--format", "{{.Status}}"])).stdout.startsWith("Exited (137)"),
      );
      expect(await podman.withGocker(["rm", "one"])).toMatchObject({ exitCode: 0 });
    },
    patience(30_000),
  );
});

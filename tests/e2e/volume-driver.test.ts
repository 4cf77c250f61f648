import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, outcomeOf, type Runner, success } from "../helpers/runner.ts";
import { makeTar } from "../helpers/tar.ts";
import { until } from "../helpers/until.ts";

/** What an image with files at the volume's place has. */
const dataLayer = new Uint8Array(
  makeTar([
    { name: "data/", type: "5", mode: 0o750, uid: 405, gid: 100 },
    { name: "data/file", content: "of the image\n", mode: 0o640, uid: 405, gid: 100 },
  ]),
);

describe.skipIf(!canRunCorpus)("volumes with options of the driver", () => {
  let runner: Runner;
  let image: string;
  let filled: string;
  let device: string;
  beforeAll(async () => {
    runner = await createRunner([], {
      "plain:1": { layers: [alpineLayer] },
      "filled:1": { layers: [alpineLayer, dataLayer] },
    });
    image = runner.image("plain:1");
    filled = runner.image("filled:1");
    device = join(runner.sandbox.directory, "device");
    mkdirSync(device);
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());
  afterEach(async () => {
    expect(runner.sandbox.mounts()).toEqual([]);
    await runner.gocker(["volume", "prune", "-af"]);
  });

  const create = (name: string, ...options: string[]) =>
    runner.gocker(["volume", "create", ...options.flatMap((option) => ["-o", option]), name]);
  const data = (name: string) => `${runner.sandbox.root}/volumes/${name}/_data`;
  const bind = (name: string, o = "bind") => create(name, "type=none", `device=${device}`, `o=${o}`);

  test.each([
    [["size=1g"], 'there is no option "size"'],
    [["type=tmpfs"], "type needs device"],
    [["o=bind"], "o needs type"],
    [["type=none", "device=/x"], "type=none needs o=bind or o=rbind"],
    [["type=none", "device=x", "o=bind"], 'the device "x" is not absolute'],
    [["type=none", "device=/x", "o=bind,remount"], "o=bind,remount is not for volumes"],
  ])("%j is refused", async (options, reason) => {
    expect(await create("wrong", ...options)).toMatchObject({
      stdout: "",
      stderr: expect.stringContaining(`invalid options of a volume: ${reason}`),
      exitCode: 125,
    });
    expect(existsSync(data("wrong"))).toBe(false);
  });

  test("type=none, o=bind: a directory of the host, which removal leaves alone", async () => {
    writeFileSync(join(device, "mine"), "of the host\n");
    expect(await bind("bound")).toEqual(success("bound\n"));
    expect(await runner.gocker(["volume", "inspect", "-f", "{{json .Options}} {{.Mountpoint}}", "bound"])).toEqual(
      success(`{"device":"${device}","o":"bind","type":"none"} ${data("bound")}\n`),
    );
    expect(readdirSync(data("bound"))).toEqual([]);
    expect(await runner.run(["-v", "bound:/mnt", image, "sh", "-c", "cat /mnt/mine; echo x >/mnt/new"])).toEqual(
      success("of the host\n"),
    );
    expect(readFileSync(join(device, "new"), "utf8")).toBe("x\n");
    expect(await runner.gocker(["volume", "rm", "bound"])).toEqual(success("bound\n"));
    expect(readdirSync(device).toSorted()).toEqual(["mine", "new"]);
  });

  test("o=bind,ro and what run says of it", async () => {
    await bind("sealed", "bind,ro");
    expect(await runner.run(["-v", "sealed:/mnt", image, "touch", "/mnt/x"])).toMatchObject({
      stderr: "touch: /mnt/x: Read-only file system\n",
      exitCode: 1,
    });
  });

  test("an empty directory of the host is filled with what the image has there", async () => {
    device = join(runner.sandbox.directory, "empty");
    mkdirSync(device);
    await bind("copied");
    const look = "stat -c '%a %u %g %n' /data /data/file; ls -A /data";
    expect(await runner.run(["-v", "copied:/data", filled, "sh", "-c", look])).toEqual(
      success("750 405 100 /data\n640 405 100 /data/file\nfile\n"),
    );
    expect(readdirSync(device)).toEqual(["file"]);
  });

  test("a copy into it that was cut off is begun anew", async () => {
    device = join(runner.sandbox.directory, "cut-off");
    mkdirSync(join(device, ".gocker-filling"), { recursive: true });
    writeFileSync(join(device, ".gocker-filling/half"), "x");
    await bind("anew");
    expect(await runner.run(["-v", "anew:/data", filled, "ls", "-A", "/data"])).toEqual(success("file\n"));
  });

  test("type=tmpfs: shared while somebody uses it, gone with the last one", async () => {
    await create("memory", "type=tmpfs", "device=tmpfs", "o=size=64k,mode=1770,uid=405");
    const first = runner.start(["run", "--rm", "-i", "-v", "memory:/m", image, "sh", "-c", "echo 1 >/m/one; cat"]);
    await until("the first has written", () => existsSync(join(data("memory"), "one")));
    const second = runner.start([
      "run",
      "--rm",
      "-i",
      "-v",
      "memory:/m",
      image,
      "sh",
      "-c",
      "cat /m/one; echo >/m/two; cat",
    ]);
    await until("the second has written", () => existsSync(join(data("memory"), "two")));
    expect(await outcomeOf(first)).toEqual(success(""));
    expect(runner.sandbox.mounts()).toEqual([data("memory")]);
    expect(await runner.gocker(["volume", "rm", "memory"])).toMatchObject({ exitCode: 125 });
    expect(await outcomeOf(second)).toEqual(success("1\n"));
    expect(runner.sandbox.mounts()).toEqual([]);
    const look = "ls -A /m; stat -c '%a %u' /m; grep ' /m ' /proc/mounts | grep -o size=64k";
    expect(await runner.run(["-v", "memory:/m", filled, "sh", "-c", look])).toEqual(success("1770 405\nsize=64k\n"));
  });

  test("made by --mount, with labels; those of a volume that is there already stay", async () => {
    const made =
      'src=made,dst=/m,volume-label=a=1,volume-opt=type=tmpfs,volume-opt=device=tmpfs,"volume-opt=o=size=8k,mode=700"';
    expect(await runner.run(["--mount", made, image, "stat", "-c", "%a", "/m"])).toEqual(success("700\n"));
    await runner.run(["--mount", "src=made,dst=/m,volume-label=b=2", image, "true"]);
    expect(await runner.gocker(["volume", "inspect", "-f", "{{json .Labels}} {{.Options.o}}", "made"])).toEqual(
      success('{"a":"1"} size=8k,mode=700\n'),
    );
    expect(await runner.run(["--mount", "src=other,dst=/m,volume-opt=size=1", image, "true"])).toMatchObject({
      stderr: expect.stringContaining('invalid options of a volume: there is no option "size"'),
      exitCode: 125,
    });
    expect(runner.leftovers()).toEqual([]);
  });

  test.each([
    [["type=none", "device=/does/not/exist", "o=bind"], "No such file or directory"],
    [["type=nosuchfs", "device=none"], "No such device"],
    [["type=nfs", "device=:/export", "o=addr=127.0.0.1,nfsvers=4,soft,timeo=1,retrans=0"], ""],
  ])("what cannot be mounted is told, and leaves nothing: %j", async (options, reason) => {
    await create("broken", ...options);
    const { stdout, stderr, exitCode } = await runner.run(["-v", "broken:/m", image, "true"]);
    expect(stderr).toStartWith("gocker: cannot mount the volume broken: ");
    expect(stderr.toLowerCase()).toContain(reason.toLowerCase());
    expect(stderr).toContain(`hint: its options are ${options[0]}, ${options[1]}`);
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
    expect(runner.leftovers()).toEqual([]);
  });

  /** The process that looks after a container which goes on by itself. */
  function monitorOf({ pid }: { readonly pid?: number }): number {
    return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  }

  const startOrphan = async (...flags: string[]) => {
    await create("orphan", "type=tmpfs", "device=tmpfs");
    const script = "echo >/m/x; exec sleep 1000";
    const child = runner.start(["run", ...flags, "--name", "killed", "-v", "orphan:/m", image, "sh", "-c", script]);
    await until("it has written", () => existsSync(join(data("orphan"), "x")));
    const state = await runner.untilRunning();
    return { child, state };
  };

  test("what a gocker has mounted that was killed the next one unmounts", async () => {
    const { child } = await startOrphan("--rm");
    child.kill("SIGKILL");
    await child.exited;
    expect(runner.sandbox.mounts()).toContain(data("orphan"));
    expect(await runner.gocker(["ps", "-aq"])).toEqual(success(""));
    expect(runner.sandbox.mounts()).toEqual([]);
    expect(runner.leftovers()).toEqual([]);
  });

  test("so with one that looked after a container in the background", async () => {
    const { child, state } = await startOrphan("-d");
    expect(await child.exited).toBe(0);
    const monitor = monitorOf(state);
    process.kill(monitor, "SIGKILL");
    await until("it has ended", () => !existsSync(`/proc/${monitor}`) && !existsSync(`/proc/${state.pid}`));
    expect(runner.sandbox.mounts()).toContain(data("orphan"));
    expect((await runner.gocker(["ps", "-a", "--format", "{{.Names}} {{.State}}"])).stdout).toBe("killed exited\n");
    expect(runner.sandbox.mounts()).toEqual([]);
    expect(await runner.gocker(["rm", "killed"])).toEqual(success("killed\n"));
  });

  test("who removes a volume makes sure of that, too", async () => {
    const { child, state } = await startOrphan("--rm");
    child.kill("SIGKILL");
    await child.exited;
    // As one that was not made whole.
    for (const name of ["container", "running"]) rmSync(`${runner.sandbox.root}/containers/${state.id}/${name}.json`);
    expect(await runner.gocker(["volume", "rm", "orphan"])).toEqual(success("orphan\n"));
    expect(runner.sandbox.mounts()).toEqual([]);
    expect(runner.leftovers()).toEqual([]);
  });

  test("a container in the background has it from start to end, each time anew", async () => {
    await create("memory", "type=tmpfs", "device=tmpfs");
    const script = "ls -A /m; echo >/m/x; exec sleep 1000";
    await runner.gocker(["run", "-d", "--name", "web", "-v", "memory:/m", image, "sh", "-c", script]);
    for (let round = 0; round < 2; round++) {
      await until("it has written", () => existsSync(join(data("memory"), "x")));
      expect(await runner.gocker(["stop", "-t", "0", "web"])).toEqual(success("web\n"));
      expect(runner.sandbox.mounts()).toEqual([]);
      if (round === 0) expect(await runner.gocker(["start", "web"])).toEqual(success("web\n"));
    }
    expect(await runner.gocker(["rm", "web"])).toEqual(success("web\n"));
  });

  test("a container that is started again by its policy finds it mounted", async () => {
    await create("policy", "type=tmpfs", "device=tmpfs");
    const script = "test -e /m/x && exec sleep 1000; echo >/m/x; exit 1";
    await runner.gocker([
      "run",
      "-d",
      "--restart",
      "always",
      "--name",
      "web",
      "-v",
      "policy:/m",
      image,
      "sh",
      "-c",
      script,
    ]);
    const format = "{{.RestartCount}} {{.State.Status}}";
    const told = async () => (await runner.gocker(["inspect", "-f", format, "web"])).stdout;
    await until("it has been started again", async () => (await told()) === "1 running\n");
    expect(readdirSync(data("policy"))).toEqual(["x"]);
    expect(await runner.gocker(["rm", "-f", "web"])).toEqual(success("web\n"));
    expect(runner.leftovers()).toEqual([]);
  });

  test("many at once mount and unmount one volume", async () => {
    await create("busy", "type=tmpfs", "device=tmpfs");
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, () =>
        runner.run(["-v", "busy:/m", image, "grep", "-c", " /m tmpfs ", "/proc/mounts"]),
      ),
    );
    expect(outcomes).toEqual(Array.from({ length: 10 }, () => success("1\n")));
    expect(runner.sandbox.mounts()).toEqual([]);
  });
});

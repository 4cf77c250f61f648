import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, lstatSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, outcomeOf, type Runner, success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

/** Empty when it is gone. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

// Verbs that look at a container that runs, or change it.
describe.skipIf(!canRunCorpus)("a container that runs", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  /** Runs a script in the background, in a container that goes when this is disposed of. */
  async function background(name: string, script: string, flags: readonly string[] = ["--rm"]) {
    const child = runner.start(["run", "--name", name, ...flags, image, "sh", "-c", `touch /tmp/ready; ${script}`]);
    // The program may begin before that is on record.
    const isOnRecord = () => existsSync(`${containers()}/${idOf(name)}/running.json`);
    await until(`${name} is ready`, () => isOnRecord() && existsSync(inUpper(name, "tmp/ready")));
    const id = idOf(name);
    return {
      child,
      id,
      async [Symbol.asyncDispose]() {
        await runner.gocker(["rm", "-f", id]);
        await child.exited;
      },
    };
  }

  const containers = () => `${runner.sandbox.root}/containers`;
  /** Empty when there is none of that name. */
  const idOf = (name: string) => {
    const link = `${containers()}/names/${name}`;
    return lstatSync(link, { throwIfNoEntry: false }) === undefined ? "" : readlinkSync(link);
  };
  /** A file that the container has written, on the host. */
  const inUpper = (name: string, path: string) => `${containers()}/${idOf(name)}/upper/${path}`;

  const listed = (name: string, template: string) =>
    runner.gocker(["ps", "-a", "--filter", `name=${name}`, "--format", template]);

  const misuse = (message: string) => ({ stdout: "", stderr: expect.stringContaining(message), exitCode: 125 });

  describe("pause and unpause", () => {
    test("its processes stand still, and go on", async () => {
      await using container = await background("paused", "while :; do echo x >> /ticks; sleep 0.01; done");
      const ticks = () => statSync(inUpper("paused", "ticks"), { throwIfNoEntry: false })?.size ?? 0;
      await until("it ticks", () => ticks() > 0);
      expect(await runner.gocker(["pause", "paused"])).toEqual(success("paused\n"));
      const before = ticks();
      expect(await listed("paused", "{{.State}} {{.Status}}")).toEqual(
        success(expect.stringMatching(/^paused Up .* \(Paused\)\n$/)),
      );
      expect(await runner.gocker(["ps", "-q", "--no-trunc", "--filter", "status=paused"])).toEqual(
        success(`${container.id}\n`),
      );
      expect(await runner.gocker(["ps", "-q", "--filter", "status=running"])).toEqual(success(""));
      expect(await runner.gocker(["pause", "paused"])).toEqual(misuse("container paused is paused already"));
      expect(ticks()).toBe(before);
      expect(await runner.gocker(["unpause", container.id.slice(0, 8)])).toEqual(
        success(`${container.id.slice(0, 8)}\n`),
      );
      await until("it ticks again", () => ticks() > before);
      expect(await runner.gocker(["unpause", "paused"])).toEqual(misuse("container paused is not paused"));
      const events = await runner.gocker([
        "events",
        "--until",
        "0s",
        "-f",
        "container=paused",
        "--format",
        "{{.Action}}",
      ]);
      expect(events.stdout).toContain("pause\nunpause\n");
    });

    test("each of several, and the errors of all", async () => {
      await using _container = await background("one", "exec sleep 1000");
      const outcome = await runner.gocker(["pause", "none", "one", "other"]);
      expect(outcome).toEqual({ stdout: "one\n", stderr: expect.stringMatching(/none[^]*other/), exitCode: 125 });
    });

    test("a paused one can be stopped", async () => {
      await using _container = await background("halted", "exec sleep 1000");
      await runner.gocker(["pause", "halted"]);
      expect(await runner.gocker(["stop", "-t", "1", "halted"])).toEqual(success("halted\n"));
    });

    test("a paused one is neither shown nor started", async () => {
      await using _container = await background("still", "exec sleep 1000", []);
      await runner.gocker(["pause", "still"]);
      for (const verb of ["attach", "start"]) {
        expect(await runner.gocker([verb, "still"], { timeout: 5_000 })).toEqual({
          stdout: "",
          stderr: expect.stringContaining("container still is paused"),
          exitCode: 1,
        });
      }
    });

    test("a paused one can be removed by force", async () => {
      await using container = await background("stuck", "exec sleep 1000");
      await runner.gocker(["pause", "stuck"]);
      expect(await runner.gocker(["rm", "-f", "stuck"])).toEqual(success("stuck\n"));
      expect(await container.child.exited).toBe(137);
    });
  });

  describe("rename", () => {
    test("it is found by its new name, and removed with it", async () => {
      await using container = await background("before", "exec sleep 1000");
      expect(await runner.gocker(["rename", "before", "after"])).toEqual(success(""));
      expect(await listed("after", "{{.ID}} {{.Names}}")).toEqual(success(`${container.id.slice(0, 12)} after\n`));
      expect(await runner.gocker(["rename", "before", "other"])).toEqual(misuse("no such container: before"));
      expect(await runner.gocker(["rename", "after", "after"])).toEqual(misuse("has the name after already"));
      expect(await runner.gocker(["rename", "after", "no/name"])).toEqual(misuse("invalid container name"));
      const json = await runner.gocker([
        "events",
        "--until",
        "0s",
        "-f",
        "event=rename",
        "--format",
        "{{json .Actor.Attributes}}",
      ]);
      expect(JSON.parse(json.stdout)).toEqual({ image, name: "after", oldName: "/before" });
      expect(await runner.gocker(["rm", "-f", "after"])).toEqual(success("after\n"));
      await container.child.exited;
      expect(await runner.gocker(["ps", "-aq"])).toEqual(success(""));
      expect(runner.leftovers()).toEqual([]);
    });
  });

  describe("wait", () => {
    test("prints the exit codes in the order of the containers", async () => {
      await using first = await background("first", "read line; exit 3", ["-i"]);
      await using second = await background("second", "read line; exit 4", ["-i"]);
      const waiting = runner.start(["wait", "first", "second", "none"]);
      // It has seen all of them when it has said which one it has not.
      for (const { child } of [second, first]) void child.stdin.end();
      expect(await outcomeOf(waiting)).toEqual({
        stdout: "3\n4\n",
        stderr: expect.stringContaining("no such container: none"),
        exitCode: 125,
      });
      expect(await runner.gocker(["wait", "first"])).toEqual(success("3\n"));
    });
  });

  describe("wait, for one that is removed when it has ended", () => {
    const untilWaiting = (pid: number) =>
      until("gocker waits", () =>
        readdirSync(`/proc/${pid}/fd`).some((fd) => linkOf(`/proc/${pid}/fd/${fd}`).startsWith("anon_inode:[pidfd]")),
      );

    test("in the foreground", async () => {
      await using container = await background("brief", "read line; exit 9", ["--rm", "-i"]);
      const waiting = runner.start(["wait", "brief"]);
      await untilWaiting(waiting.pid);
      void container.child.stdin.end();
      expect(await outcomeOf(waiting)).toEqual(success("9\n"));
      await container.child.exited;
      const filters = ["-f", `container=${container.id}`, "--format", "{{.Action}} {{.Actor.Attributes.exitCode}}"];
      const { stdout } = await runner.gocker(["events", "--until", "0s", ...filters]);
      expect(stdout).toBe("create <no value>\nattach <no value>\nstart <no value>\ndie 9\ndestroy <no value>\n");
    });

    test("in the background", async () => {
      expect((await runner.gocker(["run", "-d", "--rm", "--name", "detached", image, "sleep", "1000"])).exitCode).toBe(
        0,
      );
      const waiting = runner.start(["wait", "detached"]);
      await untilWaiting(waiting.pid);
      expect((await runner.gocker(["stop", "-t", "0", "detached"])).exitCode).toBe(0);
      expect(await outcomeOf(waiting)).toEqual(success("137\n"));
    });
  });

  describe("top", () => {
    test("shows the processes of the container, those alone", async () => {
      await using _container = await background("busy", "sleep 999 & sleep 1000; true");
      const { stdout, stderr, exitCode } = await runner.gocker(["top", "busy"]);
      expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
      const [heading, ...rows] = stdout
        .trimEnd()
        .split("\n")
        .map((line) => line.split(/\s{2,}/));
      expect(heading).toEqual(["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
      expect(rows.map((row) => row.at(-1))).toEqual([expect.stringMatching(/^sh -c touch/), "sleep 999", "sleep 1000"]);
      expect(rows.map((row) => row[0])).toEqual(["root", "root", "root"]);
      expect(rows[1]?.[2]).toBe(rows[0]?.[1]);
      expect(stdout).toStartWith("UID                 PID                 PPID ");
    });

    test("in the forms of ps", async () => {
      await using _container = await background("shown", "exec sleep 1000", ["--rm", "-u", "1234:99"]);
      const top = async (...words: string[]) => (await runner.gocker(["top", "shown", ...words])).stdout;
      expect((await top("aux")).split(/\s+/).slice(0, 11)).toEqual([
        "USER",
        "PID",
        "%CPU",
        "%MEM",
        "VSZ",
        "RSS",
        "TTY",
        "STAT",
        "START",
        "TIME",
        "COMMAND",
      ]);
      expect(await top("-o", "uid,gid,comm=WHAT,args")).toMatch(
        /^UID +GID +WHAT +COMMAND\n1234 +99 +sleep +sleep 1000\n$/,
      );
      expect(await top("-eo", "user=,comm=")).toMatch(/^1234 +sleep\n$/);
      expect(await runner.gocker(["top", "shown", "--forest"])).toEqual(misuse('"--forest" is nothing of ps'));
      expect(await runner.gocker(["top", "shown", "-o", "comn"])).toEqual(misuse('there is no column "comn"'));
    });
  });

  describe("stats", () => {
    const stats = (...words: string[]) => runner.gocker(["stats", "--no-stream", ...words]);

    test("tells what it uses", async () => {
      const script = "head -c 30000000 /dev/zero > /dev/shm/fill; touch /filled; while :; do :; done";
      await using container = await background("hungry", script);
      await until("the memory is taken", () => existsSync(inUpper("hungry", "filled")));
      const { stdout, stderr, exitCode } = await stats("--format", "json", "hungry");
      expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
      const usage = JSON.parse(stdout) as Record<string, string>;
      expect(usage).toEqual({
        Container: "hungry",
        ID: container.id.slice(0, 12),
        Name: "hungry",
        CPUPerc: expect.stringMatching(/^\d+\.\d\d%$/),
        MemUsage: expect.stringMatching(/^[\d.]+MiB \/ [\d.]+GiB$/),
        MemPerc: expect.stringMatching(/^\d+\.\d\d%$/),
        NetIO: expect.stringMatching(/ \/ /),
        BlockIO: expect.stringMatching(/ \/ /),
        PIDs: "1",
      });
      expect(Number.parseFloat(usage["CPUPerc"] ?? "")).toBeGreaterThan(5);
      expect(Number.parseFloat(usage["MemUsage"] ?? "")).toBeGreaterThan(28);
      expect((await stats("hungry")).stdout).toMatch(
        /^CONTAINER ID +NAME +CPU % +MEM USAGE \/ LIMIT +MEM % +NET I\/O +BLOCK I\/O +PIDS\n/,
      );
    });

    test("of those that do not run, when they are asked for", async () => {
      expect((await runner.gocker(["run", "--name", "ended", image, "true"])).exitCode).toBe(0);
      const format = [
        "--format",
        "{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.MemPerc}} {{.NetIO}} {{.BlockIO}} {{.PIDs}}",
      ];
      const nothing = success("ended 0.00% 0B / 0B 0.00% 0B / 0B 0B / 0B 0\n");
      expect(await stats(...format)).toEqual(success(""));
      expect(await stats("-a", ...format)).toEqual(nothing);
      expect(await stats("ended", ...format)).toEqual(nothing);
      expect(await stats("none")).toEqual(misuse("no such container: none"));
      await runner.gocker(["rm", "ended"]);
    });

    test("round after round, until the container is removed", async () => {
      await using container = await background("watched", "exec sleep 1000");
      const watching = runner.start(["stats", "--format", "{{.Name}} {{.PIDs}}", "watched"]);
      const reader = watching.stdout.getReader();
      for (const _round of [1, 2]) {
        expect(new TextDecoder().decode((await reader.read()).value)).toBe("watched 1\n");
      }
      await runner.gocker(["rm", "-f", container.id]);
      while (!(await reader.read()).done);
      expect(await watching.exited).toBe(0);
    });
  });

  test("diff tells the same of a container that runs and one that has ended", async () => {
    const script = [
      "rm /etc/motd",
      "echo x >> /etc/passwd",
      "mkdir /new && touch /new/file",
      "rm -r /media && mkdir /media && touch /media/usb",
      "touch -r /etc/group /etc/group",
      "mv /etc/apk /moved",
      "mkdir /gone && rmdir /gone",
      "rm /tmp/ready",
      "touch /done",
      "read line",
    ].join("; ");
    await using container = await background("changed", script, ["-i", "-v", "data:/data"]);
    await until("all is changed", () => existsSync(inUpper("changed", "done")));
    const { stdout, stderr, exitCode } = await runner.gocker(["diff", "changed"]);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    const lines = stdout.trimEnd().split("\n");
    expect(lines.filter((line) => !line.startsWith("A /moved/"))).toEqual([
      "A /data",
      "A /done",
      "C /etc",
      "D /etc/apk",
      "D /etc/motd",
      "C /etc/passwd",
      "C /media",
      "D /media/cdrom",
      "D /media/floppy",
      "C /media/usb",
      "A /moved",
      "A /new",
      "A /new/file",
    ]);
    expect(lines).toContain("A /moved/repositories");
    void container.child.stdin.end();
    await container.child.exited;
    expect(await runner.gocker(["diff", "changed"])).toEqual(success(stdout));
    expect(await runner.gocker(["diff", "none"])).toEqual(misuse("no such container: none"));
  });

  test("container prune removes those that do not run, and asks before", async () => {
    await using running = await background("alive", "exec sleep 1000");
    const make = async (label: string) => {
      const { stdout } = await runner.gocker(["create", "--label", label, "-v", "/vol", image, "true"]);
      return stdout.trim();
    };
    const [first, second] = [await make("keep"), await make("tier=test")];
    const prune = (words: readonly string[], stdin = "") => runner.gocker(["container", "prune", ...words], { stdin });
    const question = "WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] ";
    expect(await prune([], "n\n")).toEqual(success(question));
    expect(await prune(["-f", "--filter", "until=1h"])).toEqual(success("Total reclaimed space: 0B\n"));
    expect(await prune(["-f", "--filter", "until=soon"])).toEqual(misuse("invalid --filter until"));
    const removed = (id: string) => success(`Deleted Containers:\n${id}\n\nTotal reclaimed space: 0B\n`);
    expect(await prune(["-f", "--filter", "label!=keep"])).toEqual(removed(second));
    const answered = await prune([], "y\n");
    expect(answered).toEqual(success(question + removed(first).stdout));
    expect(await runner.gocker(["container", "ls", "-aq", "--no-trunc"])).toEqual(success(`${running.id}\n`));
    // Their volumes stay.
    expect((await runner.gocker(["volume", "ls", "-q"])).stdout.trim().split("\n").length).toBeGreaterThanOrEqual(2);
    await runner.gocker(["volume", "prune", "-f"]);
  });

  test("one that does not run is refused", async () => {
    expect((await runner.gocker(["run", "--name", "ended", image, "true"])).exitCode).toBe(0);
    for (const verb of ["pause", "unpause", "top"]) {
      expect(await runner.gocker([verb, "ended"])).toEqual({
        stdout: "",
        stderr: "gocker: container ended is not running\n  hint: `gocker ps` lists the containers that do\n",
        exitCode: 1,
      });
    }
    await runner.gocker(["rm", "ended"]);
  });
});

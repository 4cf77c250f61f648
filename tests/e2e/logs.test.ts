import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync } from "node:fs";

import type { ClaimedContainer } from "../../src/container/claim.ts";
import type { LogWriter } from "../../src/container/logs/log-writer.ts";
import { openLog } from "../../src/container/logs/open-log.ts";
import { usualLog } from "../../src/container/logs/usual-log.ts";
import type { NewContainer } from "../../src/container/record.ts";
import { ContainerStore } from "../../src/container/records.ts";
import { createSandbox, gockerBinary, type Sandbox } from "../helpers/binary.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, type Runner, success } from "../helpers/runner.ts";
import { newContainer } from "../helpers/container.ts";
import { isRoot } from "../helpers/temporary.ts";
import { until } from "../helpers/until.ts";

const fail = (error: unknown) => {
  throw error;
};
const start = Date.UTC(2026, 2, 1, 12, 30);

describe.skipIf(!isRoot)("gocker logs", () => {
  let sandbox: Sandbox;
  beforeEach(async () => {
    sandbox = await createSandbox();
  });
  afterEach(() => sandbox[Symbol.asyncDispose]());

  const create = (change: Partial<NewContainer> = {}): ClaimedContainer =>
    ContainerStore.open(sandbox.root).create(newContainer({ name: "web", ...change }));
  const open = (claim: ClaimedContainer): Promise<LogWriter> =>
    openLog(claim.directory, claim.record.log ?? usualLog, { ...claim.record, environment: ["LEVEL=3"] }, fail);

  /** A container that has ended, and has written lines of seconds: `out 0`, `err 1`, `out 2` and so on. */
  async function ended(count: number, change: Partial<NewContainer> = {}): Promise<string> {
    using claim = create(change);
    using log = await open(claim);
    for (let number = 0; number < count; number++) {
      const [stream, name] = number % 2 === 0 ? (["stdout", "out"] as const) : (["stderr", "err"] as const);
      log.write(stream, Buffer.from(`${name} ${number}\n`), start + number * 1000);
    }
    log.flush();
    claim.markExited({ exitCode: 0 });
    return claim.id;
  }

  const logs = async (...words: string[]) => {
    const { stdout, stderr, exitCode } = await sandbox.gocker(["logs", ...words]);
    return { stdout, stderr, exitCode };
  };

  test("each stream goes to its own, by name and by the beginning of the ID", async () => {
    const id = await ended(4);
    const expected = { stdout: "out 0\nout 2\n", stderr: "err 1\nerr 3\n", exitCode: 0 };
    expect(await logs("web")).toEqual(expected);
    expect(await logs(id.slice(0, 12))).toEqual(expected);
    expect(await logs("--follow", "web")).toEqual(expected);
    expect(await logs("--tail", "all", "web")).toEqual(expected);
    expect(await logs("--tail=-1", "web")).toEqual(expected);
  });

  test("both streams keep their order where they are one", async () => {
    await ended(50);
    const child = Bun.spawn(["sh", "-c", '"$0" logs web 2>&1', gockerBinary()], {
      env: { ...sandbox.environment, PATH: process.env["PATH"] ?? "" },
      stdout: "pipe",
    });
    const numbers = (await child.stdout.text())
      .split("\n")
      .slice(0, -1)
      .map((line) => Number(line.slice(4)));
    expect(numbers).toEqual(Array.from({ length: 50 }, (_, index) => index));
    expect(await child.exited).toBe(0);
  });

  test.each([
    [["-n", "1"], "", "err 5\n"],
    [["-n2"], "out 4\n", "err 5\n"],
    [["--tail", "0"], "", ""],
    [["--since", "2026-03-01T12:30:04Z"], "out 4\n", "err 5\n"],
    [["--until", "2026-03-01T12:30:01Z"], "out 0\n", "err 1\n"],
    [["--since", String(start / 1000 + 3.5), "--until", String(start / 1000 + 4)], "out 4\n", ""],
    [["--until", "1h"], "out 0\nout 2\nout 4\n", "err 1\nerr 3\nerr 5\n"],
    [["--since", "1h"], "", ""],
    [["-t", "-n", "1"], "", "2026-03-01T12:30:05.000000000Z err 5\n"],
    [["--details", "-n", "1"], "", "LEVEL=3,a%2Cb=c+d,tag=web err 5\n"],
    [["-t", "--details", "-n", "1"], "", "2026-03-01T12:30:05.000000000Z LEVEL=3,a%2Cb=c+d,tag=web err 5\n"],
  ])("%j", async (words, stdout, stderr) => {
    const options = { "labels-regex": ".", env: "LEVEL", tag: "{{.Name}}" };
    await ended(6, { labels: { "a,b": "c d" }, log: { driver: "json-file", options } });
    expect(await logs(...words, "web")).toEqual({ stdout, stderr, exitCode: 0 });
  });

  test("a line that was cut into pieces has one time, and bytes of a terminal are as they were", async () => {
    using claim = create({ terminal: true, log: { driver: "local", options: {} } });
    using log = await open(claim);
    const long = `\u001b[1m${"x".repeat(40_000)}\r\n`;
    log.write("stdout", Buffer.from(`${long}/ # `), start);
    log.flush();
    log.write("stdout", Buffer.from("\u001b[6n"), start + 1000);
    log.flush();
    const time = "2026-03-01T12:30:00.000000000Z";
    expect(await logs("web")).toEqual({ stdout: `${long}/ # \u001b[6n`, stderr: "", exitCode: 0 });
    expect((await logs("-t", "web")).stdout).toBe(`${time} ${long}${time} / # \u001b[6n`);
  });

  test("a container without a log has written nothing", async () => {
    {
      using _claim = create();
    }
    for (const words of [[], ["-f"], ["-n", "5"]]) {
      expect(await logs(...words, "web")).toEqual({ stdout: "", stderr: "", exitCode: 0 });
    }
  });

  test("what is wrong is told", async () => {
    {
      using _none = create({ log: { driver: "none", options: {} } });
      using _journald = create({ name: "journal", log: { driver: "journald", options: {} } });
    }
    const outcomes = {
      none: await logs("web"),
      journald: await logs("journal"),
      missing: await logs("nobody"),
      time: await logs("--since", "yesterday", "web"),
      tail: await logs("-n", "x", "web"),
      operands: await logs(),
    };
    const told = Object.entries(outcomes).map(([name, { stdout, stderr, exitCode }]) => {
      expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
      return `${name}: ${stderr.split("\n")[0]}`;
    });
    expect(told).toEqual([
      "none: gocker: the container's log driver is none: there is no log that gocker could read",
      "journald: gocker: the container's log driver is journald: there is no log that gocker could read",
      "missing: gocker: no such container: nobody",
      'time: gocker: invalid --since "yesterday": it is neither a time nor a duration',
      'tail: gocker: invalid --tail "x": it is neither a number of lines nor all',
      "operands: gocker: logs needs 1 argument, and got none",
    ]);
  });

  test("a reader that leaves ends it quietly", async () => {
    await ended(200_000);
    const script = '"$0" logs web 2>/dev/null | head -n 1; echo "${PIPESTATUS[@]}"';
    const child = Bun.spawn(["bash", "-c", script, gockerBinary()], {
      env: { ...sandbox.environment, PATH: process.env["PATH"] ?? "" },
      stdout: "pipe",
      stderr: "pipe",
    });
    expect(await child.stdout.text()).toBe("out 0\n141 0\n");
    expect(await child.stderr.text()).toBe("");
  });

  describe("following", () => {
    /** A container that runs, as its record says: a process stands for its first one. */
    async function running(change: Partial<NewContainer> = {}) {
      const claim = create(change);
      const first = Bun.spawn(["sleep", "1000"]);
      claim.markRunning(first.pid);
      const log = await open(claim);
      return {
        claim,
        log,
        kill: async () => {
          first.kill();
          await first.exited;
        },
        [Symbol.asyncDispose]: async () => {
          first.kill();
          await first.exited;
          log[Symbol.dispose]();
          claim[Symbol.dispose]();
        },
      };
    }

    function follow(...words: string[]) {
      const child = Bun.spawn([gockerBinary(), "logs", "-f", ...words, "web"], {
        env: { ...sandbox.environment, PATH: process.env["PATH"] ?? "" },
        stdout: "pipe",
        stderr: "pipe",
      });
      const text = { stdout: "", stderr: "" };
      const collect = async (name: keyof typeof text) => {
        for await (const chunk of child[name]) text[name] += Buffer.from(chunk).toString();
      };
      const finished = Promise.all([collect("stdout"), collect("stderr"), child.exited]);
      return { child, text, finished };
    }

    test("lines come as they are written, and the container's end is its own", async () => {
      await using container = await running();
      container.log.write("stdout", Buffer.from("one\ntwo\n"), start);
      const { child, text, finished } = follow("-n", "1");
      await until("the last line", () => text.stdout === "two\n");
      container.log.write("stderr", Buffer.from("oh\n"), start);
      await until("the next", () => text.stderr === "oh\n");
      await container.kill();
      // Its output may still be on the way.
      container.log.write("stdout", Buffer.from("bye"), start);
      container.log.flush();
      expect(child.exitCode).toBe(null);
      container.claim.markExited({ exitCode: 0 });
      await finished;
      expect({ ...text, exitCode: child.exitCode }).toEqual({ stdout: "two\nbye", stderr: "oh\n", exitCode: 0 });
    });

    test("whoever keeps the log may die before it says so", async () => {
      await using container = await running();
      container.log.write("stdout", Buffer.from("one\n"), start);
      const { child, text, finished } = follow();
      await until("the line", () => text.stdout === "one\n");
      await container.kill();
      container.claim[Symbol.dispose]();
      await finished;
      expect({ ...text, exitCode: child.exitCode }).toEqual({ stdout: "one\n", stderr: "", exitCode: 0 });
    });

    test("a container that is removed at its end", async () => {
      await using container = await running({ remove: true });
      const { child, text, finished } = follow();
      container.log.write("stdout", Buffer.from("one\n"), start);
      await until("the line", () => text.stdout === "one\n");
      container.log.write("stdout", Buffer.from("two\n"), start);
      await container.kill();
      container.claim.markExited({ exitCode: 0 });
      container.claim.remove();
      await finished;
      expect({ ...text, exitCode: child.exitCode }).toEqual({ stdout: "one\ntwo\n", stderr: "", exitCode: 0 });
    });

    test("a flood over many files, compressed", async () => {
      await using container = await running({
        log: { driver: "local", options: { "max-size": "1m", "max-file": "3" } },
      });
      const { child, text, finished } = follow();
      let expected = "";
      for (let round = 0; round < 60; round++) {
        const part = Array.from(
          { length: 1500 },
          (_, line) => `line ${line} of round ${round}, and some more of it\n`,
        ).join("");
        expected += part;
        container.log.write("stdout", Buffer.from(part), start);
        // No slower than the files that are kept.
        if (round % 10 === 0) await until("it is read", () => text.stdout.length === expected.length, 20_000);
      }
      await container.kill();
      container.log.flush();
      container.claim.markExited({ exitCode: 0 });
      await finished;
      expect({ same: text.stdout === expected, stderr: text.stderr, exitCode: child.exitCode }).toEqual({
        same: true,
        stderr: "",
        exitCode: 0,
      });
    }, 60_000);

    test("until a time", async () => {
      await using container = await running();
      container.log.write("stdout", Buffer.from("one\n"), start);
      const { child, text, finished } = follow("--until", "-300ms");
      await finished;
      expect({ ...text, exitCode: child.exitCode }).toEqual({ stdout: "one\n", stderr: "", exitCode: 0 });
    });

    test("it waits without using the processor", async () => {
      await using container = await running();
      container.log.write("stdout", Buffer.from("one\n"), start);
      const { child, text, finished } = follow();
      await until("the line", () => text.stdout === "one\n");
      await Bun.sleep(1200);
      child.kill("SIGINT");
      await finished;
      expect(child.signalCode).toBe("SIGINT");
      expect(Number(child.resourceUsage()?.cpuTime.total) / 1e6).toBeLessThan(0.6);
    });
  });

  test("damage is left out", async () => {
    const id = await ended(2);
    const path = `${sandbox.root}/containers/${id}`;
    appendFileSync(`${path}/${id}-json.log`, '\0\0\0\n{"log":"torn');
    mkdirSync(`${path}/local-logs`);
    expect(await logs("web")).toEqual({ stdout: "out 0\n", stderr: "err 1\n", exitCode: 0 });
  });
});

describe.skipIf(!canRunCorpus)("the log of a container that runs by itself", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
  });
  afterEach(async () => {
    const { stdout } = await runner.gocker(["ps", "-aq", "--no-trunc"]);
    const ids = stdout.split("\n").filter((id) => id !== "");
    if (ids.length > 0) await runner.gocker(["rm", "-f", ...ids]);
    await runner.untilClean();
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  test.each(["", "--log-driver local", "--log-opt max-size=100k --log-opt max-file=3"])(
    "is followed to its end: %p",
    async (words) => {
      const flags = words.split(" ").filter((word) => word !== "");
      const script = "echo out; echo err >&2; read line; echo got $line; printf end";
      expect((await runner.gocker(["run", "-di", "--name", "web", ...flags, image, "sh", "-c", script])).exitCode).toBe(
        0,
      );
      const following = runner.gocker(["logs", "-f", "web"]);
      await until("it waits", async () => (await runner.gocker(["logs", "web"])).stdout === "out\n");
      const attached = await runner.gocker(["attach", "web"], { stdin: "it\n" });
      expect(attached).toEqual(success("got it\nend"));
      const whole = { stdout: "out\ngot it\nend", stderr: "err\n", exitCode: 0 };
      expect(await following).toEqual(whole);
      expect(await runner.gocker(["logs", "web"])).toEqual(whole);
      expect(await runner.gocker(["logs", "-n", "2", "web"])).toEqual(success("got it\nend"));
    },
  );

  test("a flood is rotated and compressed, and no line of what is kept is missing", async () => {
    const options = ["--log-driver", "local", "--log-opt", "max-size=1m", "--log-opt", "max-file=3"];
    await runner.gocker(["run", "-d", "--name", "web", ...options, image, "sh", "-c", "seq 1000000 1300000"]);
    const { stdout, stderr, exitCode } = await runner.gocker(["logs", "-f", "--tail", "0", "web"]);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    expect(stdout).toMatch(/^(?:\d{7}\n)*$/);
    const kept = (await runner.gocker(["logs", "web"])).stdout.split("\n").slice(0, -1).map(Number);
    const first = kept[0] ?? 0;
    expect(kept.findIndex((number, index) => number !== first + index)).toBe(-1);
    expect(kept.at(-1)).toBe(1_300_000);
    expect(kept.length).toBeGreaterThan(20_000);
    expect(kept.length).toBeLessThan(300_000);
  });

  test("without a log nothing is kept, and wrong options are told before there is a container", async () => {
    expect(
      (await runner.gocker(["run", "-d", "--name", "web", "--log-driver", "none", image, "echo", "x"])).exitCode,
    ).toBe(0);
    expect((await runner.gocker(["logs", "web"])).exitCode).toBe(125);
    const told = async (...flags: string[]) => {
      const { stdout, stderr, exitCode } = await runner.gocker(["create", ...flags, image, "true"]);
      expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
      return stderr.split("\n")[0];
    };
    expect([
      await told("--log-driver", "syslog"),
      await told("--log-opt", "max-sise=1m"),
      await told("--log-opt", "max-size=many"),
      await told("--log-opt", "compress=true"),
      await told("--log-driver", "local", "--log-opt", "max-file=0"),
      await told("--log-driver", "journald", "--log-opt", "tag={{.Nothing}}"),
    ]).toEqual([
      'gocker: invalid --log-driver "syslog": gocker has no such log driver',
      'gocker: the log driver json-file has no option "max-sise"',
      'gocker: --log-opt max-size must be a size such as 64m or 1g, not "many"',
      "gocker: invalid --log-opt compress=true: only what is rotated is compressed",
      'gocker: invalid --log-opt max-file="0": it is not a number of files, 1 or more',
      'gocker: invalid --log-opt tag="{{.Nothing}}": gocker does not understand this template',
    ]);
  });
});

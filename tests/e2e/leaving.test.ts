import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, renameSync } from "node:fs";

import { gockerBinary } from "../helpers/binary.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, outcomeOf, type Runner, success } from "../helpers/runner.ts";
import { TerminalSession } from "../helpers/terminal-session.ts";
import { until } from "../helpers/until.ts";

// Who looks at a container and does not want to any more, or cannot: what becomes of the command, and of the container.
describe.skipIf(!canRunCorpus)("a container is left", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
  });
  afterEach(async () => {
    const ids = (await runner.gocker(["ps", "-aq"])).stdout.split("\n").filter((id) => id !== "");
    if (ids.length > 0) expect((await runner.gocker(["rm", "-f", ...ids])).stderr).toBe("");
    await runner.gocker(["ps"]);
    await until("nothing is left", () => runner.leftovers().length === 0);
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  type Child = ReturnType<Runner["start"]>;

  /** Tells on its output of each SIGTERM and SIGINT that it gets, and goes on. */
  const stubborn = "trap 'echo term' TERM; trap 'echo int' INT; echo ready; while :; do sleep 0.01; done";
  const environment = () => ({ PATH: process.env["PATH"] ?? "", ...runner.sandbox.environment });
  const session = (...words: readonly string[]) => new TerminalSession([gockerBinary(), ...words], environment());

  /** Reads lines of a child's standard output. */
  function linesOf({ stdout }: Child): (line: string) => Promise<void> {
    const reader = stdout.getReader();
    let shown = "";
    return async (line) => {
      while (!shown.includes(`${line}\n`)) {
        const { done, value } = await reader.read();
        if (done) throw new Error(`there is no line ${line}, but ${shown}`);
        shown += Buffer.from(value).toString();
      }
      shown = shown.slice(shown.indexOf(`${line}\n`) + line.length + 1);
    };
  }

  /** Sends a child SIGTERM, SIGINT and SIGTERM, each when the one before has come through. */
  async function insist(child: Child, expectLine: (line: string) => Promise<void>): Promise<void> {
    await expectLine("ready");
    child.kill("SIGTERM");
    await expectLine("term");
    child.kill("SIGINT");
    await expectLine("int");
    child.kill("SIGTERM");
  }

  const isRunning = async (name: string) =>
    (await runner.gocker(["ps", "--format", "{{.Names}}"])).stdout.split("\n").includes(name);

  describe("by the third request to end", () => {
    const runsStubborn = (name: string) => ["--name", name, image, "sh", "-c", stubborn];

    test.each([
      ["run", async (name: string) => runner.start(["run", ...runsStubborn(name)])],
      [
        "start -a",
        async (name: string) => {
          await runner.gocker(["create", ...runsStubborn(name)]);
          return runner.start(["start", "-a", name]);
        },
      ],
      [
        "attach",
        async (name: string) => {
          await runner.gocker(["create", "-i", "--name", name, image, "sh", "-c", `read line; ${stubborn}`]);
          await runner.gocker(["start", name]);
          const child = runner.start(["attach", name]);
          void child.stdin.write("\n");
          await child.stdin.flush();
          return child;
        },
      ],
    ] as const)("%s ends alone, and the container has got all of them", async (_, begin) => {
      const child = await begin("deaf");
      await insist(child, linesOf(child));
      expect(await child.exited).toBe(1);
      expect(await child.stderr.text()).toBe(
        "gocker: no longer waiting for container deaf, which goes on: the third SIGINT or SIGTERM came within 2 seconds\n" +
          "  hint: gocker kill deaf ends it, gocker attach deaf shows it again\n",
      );
      expect(await isRunning("deaf")).toBe(true);
      await until("the third came through", async () =>
        (await runner.gocker(["logs", "deaf"])).stdout.endsWith("ready\nterm\nint\nterm\n"),
      );
    });

    test("exec ends alone, and its command goes on", async () => {
      await runner.gocker(["run", "-d", "--name", "main", image, "sleep", "1000"]);
      const child = runner.start(["exec", "main", "sh", "-c", `echo $$ >/pid; ${stubborn}`]);
      await insist(child, linesOf(child));
      expect(await child.exited).toBe(1);
      expect(await child.stderr.text()).toStartWith(
        "gocker: no longer waiting for sh in container main, which goes on: the third SIGINT or SIGTERM came within 2",
      );
      expect(await runner.gocker(["exec", "main", "sh", "-c", "kill -0 $(cat /pid)"])).toEqual(success(""));
    });

    test("a container that belongs to the command is ended", async () => {
      const child = runner.start(["run", "--rm", ...runsStubborn("own")]);
      await insist(child, linesOf(child));
      expect(await child.exited).toBe(137);
    });
  });

  describe("with a terminal", () => {
    test("attach without input: ctrl-C ends the command, and the container gets nothing of it", async () => {
      await runner.gocker(["run", "-dt", "--name", "shown", image, "sh", "-c", stubborn]);
      await until("it is ready", async () => (await runner.gocker(["logs", "shown"])).stdout === "ready\r\n");
      await using terminal = session("attach", "--no-stdin", "shown");
      await until("it is shown", async () => (await attached("shown")) === 1);
      terminal.type("\x03");
      expect(await terminal.process.exited).toBe(130);
      expect((await runner.gocker(["logs", "shown"])).stdout).toBe("ready\r\n");
      expect(await isRunning("shown")).toBe(true);
    });

    test("start -a without input: a signal ends the command, and the container goes on", async () => {
      await runner.gocker(["create", "-t", "--name", "begun", image, "sh", "-c", stubborn]);
      await using terminal = session("start", "-a", "begun");
      await terminal.expect("ready\n");
      terminal.process.kill("SIGTERM");
      expect(await terminal.process.exited).toBe(143);
      expect((await runner.gocker(["logs", "begun"])).stdout).toBe("ready\r\n");
      expect(await isRunning("begun")).toBe(true);
    });

    test("attach with input: a signal ends the command, and its terminal is as it was", async () => {
      await runner.gocker(["run", "-dit", "--name", "shell", image, "sh"]);
      await using terminal = session("attach", "shell");
      const before = terminal.modes;
      await until("it is shown", () => terminal.modes.join() !== before.join());
      terminal.process.kill("SIGTERM");
      expect(await terminal.process.exited).toBe(143);
      expect(terminal.modes).toEqual(before);
      expect(await isRunning("shell")).toBe(true);
    });

    test("run passes signals on, as docker's does; ctrl-C is typed and not counted", async () => {
      await using terminal = session("run", "-it", "--name", "typed", image, "sh", "-c", stubborn);
      await terminal.expect("ready\n");
      for (let count = 0; count < 4; count++) {
        terminal.type("\x03");
        await terminal.expect("int\n");
      }
      terminal.process.kill("SIGTERM");
      await terminal.expect("term\n");
      expect(terminal.process.exitCode).toBeNull();
    });
  });

  /** How many have attached to a container, by its events. */
  async function attached(name: string): Promise<number> {
    const filters = ["--filter", `container=${name}`, "--filter", "event=attach"];
    const { stdout } = await runner.gocker(["events", "--since", "1h", "--until", "0s", ...filters]);
    return stdout.split("\n").filter((line) => line !== "").length;
  }

  describe("by a terminal that is closed", () => {
    /** Ignores SIGHUP, and writes nothing that would tell anybody that the terminal is gone. */
    const quiet = "trap 'touch /hup' HUP; echo ready; while :; do sleep 0.01; done";

    test.each([
      ["run -it", ["run", "-it", "--name", "left"]],
      ["run -t", ["run", "-t", "--name", "left"]],
      ["run -i", ["run", "-i", "--name", "left"]],
      ["run", ["run", "--name", "left"]],
      ["run --rm with detach keys", ["run", "--rm", "-it", "--detach-keys", "ctrl-x", "--name", "left"]],
    ])("%s ends alone", async (_, words) => {
      await using terminal = session(...words, image, "sh", "-c", quiet);
      await terminal.expect("ready\n");
      terminal.hangUp();
      expect(await terminal.process.exited).toBe(129);
      expect(await isRunning("left")).toBe(true);
      // The container has not even been told.
      expect((await runner.gocker(["exec", "left", "test", "-e", "/hup"])).exitCode).toBe(1);
    });

    test.each([
      ["with-input", ["attach"]],
      ["without-input", ["attach", "--no-stdin"]],
    ])("attach %s ends alone", async (name, words) => {
      await runner.gocker(["run", "-dit", "--name", name, image, "sh", "-c", quiet]);
      await using terminal = session(...words, name);
      await until("it is shown", async () => (await attached(name)) === 1);
      terminal.hangUp();
      expect(await terminal.process.exited).toBe(129);
      expect(await isRunning(name)).toBe(true);
    });

    test("attach notices it, too, where no signal tells of it", async () => {
      await runner.gocker(["run", "-dit", "--name", "unheard", image, "sh", "-c", quiet]);
      // As nohup would: in a shell that does not wait, and ignores SIGHUP for its children.
      const script = 'trap "" HUP; "$0" attach unheard; echo $? >"$1"';
      const file = `${runner.sandbox.directory}/code`;
      await using terminal = new TerminalSession(["sh", "-c", script, gockerBinary(), file], environment());
      await until("it is shown", async () => (await attached("unheard")) === 1);
      terminal.hangUp();
      await until("it has ended", () => existsSync(file) && readFileSync(file, "utf8") !== "");
      expect(readFileSync(file, "utf8")).toBe("129\n");
      expect(await isRunning("unheard")).toBe(true);
    });

    test.each([
      ["run --rm -it", ["run", "--rm", "-it", "--name", "own"]],
      ["run --rm -t", ["run", "--rm", "-t", "--name", "own"]],
      ["run --rm", ["run", "--rm", "--name", "own"]],
    ])("%s ends with its container, which was told before", async (_, words) => {
      const script = `trap 'touch /shared/hup' HUP; echo ready; while :; do sleep 0.01; done`;
      await using terminal = session(...words, "-v", `${runner.sandbox.directory}:/shared`, image, "sh", "-c", script);
      await terminal.expect("ready\n");
      terminal.hangUp();
      expect(await terminal.process.exited).toBe(137);
      expect(existsSync(`${runner.sandbox.directory}/hup`)).toBe(true);
      expect(await isRunning("own")).toBe(false);
      renameSync(`${runner.sandbox.directory}/hup`, `${runner.sandbox.directory}/hup-before`);
    });

    test("exec ends, though its command does not mind", async () => {
      await runner.gocker(["run", "-d", "--name", "main", image, "sleep", "1000"]);
      await using terminal = session("exec", "-it", "main", "sh", "-c", `echo $$ >/pid; ${quiet}`);
      await terminal.expect("ready\n");
      terminal.hangUp();
      expect(await terminal.process.exited).toBe(129);
      expect(await runner.gocker(["exec", "main", "sh", "-c", "test -e /hup && kill -0 $(cat /pid)"])).toEqual(
        success(""),
      );
    });
  });

  test("one that belongs to a command is not attached to; one whose monitor's socket is gone says so", async () => {
    const child = runner.start(["run", "--rm", "-i", "--name", "own", image, "cat"]);
    await runner.untilRunning();
    expect(await runner.gocker(["attach", "own"])).toEqual({
      stdout: "",
      stderr:
        "gocker: cannot attach to container own: it belongs to the command that runs it\n" +
        "  hint: what is started with -d, or without --rm, does not\n",
      exitCode: 125,
    });
    expect((await runner.gocker(["restart", "own"])).stderr).toContain("it belongs to the command that runs it");
    expect((await outcomeOf(child)).exitCode).toBe(0);

    const { stdout } = await runner.gocker([
      "run",
      "-di",
      "--rm",
      "--name",
      "lost",
      image,
      "sh",
      "-c",
      "read line; exit 5",
    ]);
    const socket = `${runner.sandbox.state}/monitors/${stdout.trim()}`;
    renameSync(socket, `${runner.sandbox.state}/elsewhere`);
    const refused = await runner.gocker(["attach", "lost"]);
    expect(refused).toMatchObject({ stdout: "", exitCode: 125 });
    expect(refused.stderr).toBe(
      `gocker: cannot attach to container lost: its monitor has no socket any more at ${socket}\n` +
        "  hint: it was removed, or lies in another state directory (--state); gocker restart lost makes a new one\n",
    );
    expect(await runner.gocker(["restart", "-t", "0", "lost"])).toEqual(success("lost\n"));
    expect(await runner.gocker(["attach", "lost"], { stdin: "\n" })).toMatchObject({ stderr: "", exitCode: 5 });
  });
});

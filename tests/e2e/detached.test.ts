import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";

import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, outcomeOf, type Runner, success } from "../helpers/runner.ts";
import { patience } from "../helpers/patience.ts";
import { TerminalSession } from "../helpers/terminal-session.ts";
import { gockerBinary } from "../helpers/binary.ts";
import { until } from "../helpers/until.ts";

interface State {
  readonly status: string;
  readonly exitCode?: number;
  readonly startedAt?: string;
  readonly restartCount?: number;
  readonly pid?: number;
  readonly error?: string;
}

describe.skipIf(!canRunCorpus)("containers that go on by themselves", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
  });
  afterEach(async () => {
    const { stdout } = await runner.gocker(["ps", "-aq", "--no-trunc"]);
    const ids = stdout.split("\n").filter((id) => id !== "");
    if (ids.length > 0) expect((await runner.gocker(["rm", "-f", ...ids])).stderr).toBe("");
    await runner.untilClean();
    const sockets = `${runner.sandbox.state}/monitors`;
    expect(existsSync(sockets) ? readdirSync(sockets) : []).toEqual([]);
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  async function runDetached(words: readonly string[]): Promise<string> {
    const { stdout, stderr, exitCode } = await runner.gocker(["run", "-d", ...words]);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    expect(stdout).toMatch(/^[0-9a-f]{64}\n$/);
    return stdout.trim();
  }

  const directory = (id: string) => `${runner.sandbox.root}/containers/${id}`;

  function stateOf(id: string): State {
    const path = ["exited", "running"].map((name) => `${directory(id)}/${name}.json`).find((name) => existsSync(name));
    return path === undefined ? { status: "created" } : (JSON.parse(readFileSync(path, "utf8")) as State);
  }

  const untilExited = (id: string) =>
    until("the container has ended", () => stateOf(id).status === "exited" && !existsSync(lockOf(id)));
  const lockOf = (id: string) => `${runner.sandbox.root}/containers/active/${id}`;

  function loggedBy(id: string): string[] {
    const path = `${directory(id)}/${id}-json.log`;
    const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : [];
    return lines.map((line) => JSON.parse(line) as { log: string; stream: string }).map((e) => `${e.stream}: ${e.log}`);
  }

  /** The process that looks after a container. */
  function monitorOf(id: string): number {
    const pid = stateOf(id).pid as number;
    return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  }

  test("run -d prints the ID; what the container writes is kept, and how it ended", async () => {
    const id = await runDetached([image, "sh", "-c", "echo out; echo err >&2; printf rest; exit 7"]);
    await untilExited(id);
    expect(stateOf(id)).toMatchObject({ status: "exited", exitCode: 7 });
    expect(loggedBy(id).toSorted()).toEqual(["stderr: err\n", "stdout: out\n", "stdout: rest"]);
  });

  test("a monitor with nothing to do holds next to no memory and nothing of gocker's or of the caller's", async () => {
    const id = await runDetached([image, "sleep", "1000"]);
    const monitor = monitorOf(id);
    const rollup = readFileSync(`/proc/${monitor}/smaps_rollup`, "utf8");
    expect(Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1])).toBeLessThan(200);
    expect(readFileSync(`/proc/${monitor}/environ`, "utf8")).toBe("");
    expect(readFileSync(`/proc/${monitor}/stat`, "utf8").split(" ")[5]).toBe(String(monitor));
    // Of the container it has nothing but the process, and the container nothing of it.
    const { pid } = stateOf(id);
    const held = readdirSync(`/proc/${pid}/fd`).toSorted();
    expect(held).toEqual(["0", "1", "2"]);
  });

  test("output wakes the monitor, which sleeps again", async () => {
    const id = await runDetached([image, "sh", "-c", "echo one; sleep 1000"]);
    const monitor = monitorOf(id);
    const program = () => readFileSync(`/proc/${monitor}/maps`, "utf8").includes("memfd:gocker");
    await until("the line is kept", () => loggedBy(id).length === 1);
    await until("it sleeps", program);
    expect(loggedBy(id)).toEqual(["stdout: one\n"]);
  });

  test("stop asks, then kills; kill sends a signal; what does not run says so", async () => {
    const trap = "trap 'echo stopping; exit 3' TERM; while :; do sleep 0.01; done";
    const asked = await runDetached(["--name", "asked", image, "sh", "-c", trap]);
    expect(await runner.gocker(["stop", "asked"])).toEqual(success("asked\n"));
    expect(stateOf(asked)).toMatchObject({ status: "exited", exitCode: 3 });
    expect(loggedBy(asked)).toEqual(["stdout: stopping\n"]);
    const deaf = await runDetached(["--name", "deaf", image, "sleep", "1000"]);
    expect(await runner.gocker(["stop", "-t", "0", "deaf"])).toEqual(success("deaf\n"));
    expect(stateOf(deaf)).toMatchObject({ status: "exited", exitCode: 137 });
    expect(await runner.gocker(["stop", "deaf"])).toEqual(success("deaf\n"));
    for (const command of ["kill", "attach", "pause", "top"]) {
      const outcome = await runner.gocker([command, "deaf"]);
      expect(outcome).toMatchObject({ stdout: "", exitCode: 1 });
      expect(outcome.stderr).toStartWith("gocker: container deaf is not running\n");
    }
    const signalled = await runDetached([image, "sleep", "1000"]);
    expect(await runner.gocker(["kill", "-s", "9", signalled])).toEqual(success(`${signalled}\n`));
    await untilExited(signalled);
    expect(stateOf(signalled)).toMatchObject({ exitCode: 137 });
  });

  test("created, started, shown, started again", async () => {
    const script = "test -e /once && echo again; touch /once; echo here; exit 4";
    const { stdout } = await runner.gocker(["create", "--name", "later", image, "sh", "-c", script]);
    expect(stateOf(stdout.trim()).status).toBe("created");
    expect(await runner.gocker(["start", "-a", "later"])).toEqual({ stdout: "here\n", stderr: "", exitCode: 4 });
    expect(await runner.gocker(["start", "-a", "later"])).toEqual({ stdout: "again\nhere\n", stderr: "", exitCode: 4 });
  });

  test("one that goes when it has ended is there again after a restart, with what it has written", async () => {
    const id = await runDetached(["--rm", image, "sh", "-c", "echo run >>/runs; wc -l </runs; exec sleep 1000"]);
    const { pid } = stateOf(id);
    await until("it has written", () => loggedBy(id).length === 1);
    expect(await runner.gocker(["restart", "-t", "0", id])).toEqual(success(`${id}\n`));
    expect(stateOf(id).pid).not.toBe(pid);
    await until("it has written again", () => loggedBy(id).at(-1) === "stdout: 2\n");
    expect(await runner.gocker(["stop", "-t", "0", id])).toEqual(success(`${id}\n`));
    await until("its monitor is done", () => runner.leftovers().length === 0);
  });

  test.each([
    ["stdout", "out\n", ""],
    ["stderr", "", "err\n"],
  ])("of its streams only %s is shown when that is asked for", async (stream, stdout, stderr) => {
    const script = "echo out; echo err >&2; exit 3";
    const outcome = await runner.gocker(["run", "--rm", "-a", stream, image, "sh", "-c", script]);
    expect(outcome).toEqual({ stdout, stderr, exitCode: 3 });
    await until("its monitor is done", () => runner.leftovers().length === 0);
  });

  test("its ID is shown when none of its outputs is", async () => {
    const stdin = new TextEncoder().encode("word\n");
    const outcome = await runner.gocker(["run", "-i", "-a", "stdin", image, "cat"], { stdin });
    expect(outcome).toEqual(success(expect.stringMatching(/^[0-9a-f]{64}\n$/)));
    expect(loggedBy(outcome.stdout.trim())).toEqual(["stdout: word\n"]);
  });

  test("who looks at one is told its first end, though its policy starts it again", async () => {
    const words = ["run", "--name", "again", "--restart", "always", image, "sh", "-c", "echo here; exit 7"];
    expect(await runner.gocker(words, { timeout: 8_000 })).toEqual({ stdout: "here\n", stderr: "", exitCode: 7 });
    const id = (await runner.gocker(["ps", "-aq", "--no-trunc"])).stdout.trim();
    await until("it runs again", () => loggedBy(id).length > 1);
    await runner.gocker(["rm", "-f", "again"]);
  });

  test("input reaches a container that is started with it, and its end", async () => {
    const { stdout } = await runner.gocker(["create", "-i", image, "sh", "-c", "wc -c; echo end"]);
    const stdin = new Uint8Array(1_000_000).fill(120);
    expect(await runner.gocker(["start", "-ai", stdout.trim()], { stdin })).toEqual(success("1000000\nend\n"));
  });

  test("all of a large output is shown, and kept", async () => {
    const { stdout } = await runner.gocker(["create", image, "sh", "-c", "seq 1 200000; seq 1 50000 >&2"]);
    const id = stdout.trim();
    const shown = await runner.gocker(["start", "-a", id]);
    expect(shown.exitCode).toBe(0);
    expect(shown.stdout.split("\n")).toHaveLength(200_001);
    expect(shown.stderr.split("\n")).toHaveLength(50_001);
    expect(shown.stdout.endsWith("199999\n200000\n")).toBe(true);
    expect(loggedBy(id)).toHaveLength(250_000);
  });

  test("--sig-proxy=false: a signal ends the command alone", async () => {
    const words = [image, "sh", "-c", "trap 'exit 1' TERM; echo ready; while :; do sleep 0.01; done"];
    const shown = runner.start(["run", "--rm", "--name", "alone", "--sig-proxy=false", ...words]);
    await until("it runs", async () => (await runner.gocker(["logs", "alone"])).stdout === "ready\n");
    shown.kill("SIGTERM");
    await shown.exited;
    expect(shown.signalCode).toBe("SIGTERM");
    expect(await runner.gocker(["ps", "--format", "{{.Names}} {{.State}}"])).toEqual(success("alone running\n"));
    expect(await runner.gocker(["stop", "alone"])).toEqual(success("alone\n"));
    await until("nothing is left of it", () => runner.leftovers().length === 0);
  });

  /** How many sockets a process has open. */
  function socketsOf(pid: number): number {
    const links = readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        // Closed meanwhile.
        return "";
      }
    });
    return links.filter((link) => link.startsWith("socket:")).length;
  }

  test("several look at one container; who goes away does not disturb it", async () => {
    const id = await runDetached(["-i", image, "sh", "-c", "read a; echo got $a; read b; echo got $b"]);
    const one = runner.start(["attach", id]);
    const other = runner.start(["attach", "--no-stdin", id]);
    const listenerAndBoth = 3;
    await until("both are there", () => socketsOf(monitorOf(id)) >= listenerAndBoth);
    void one.stdin.write("first\n");
    await one.stdin.flush();
    await until("it is answered", () => loggedBy(id).length === 1);
    one.kill("SIGKILL");
    await one.exited;
    const last = runner.start(["attach", id]);
    void last.stdin.write("second\n");
    await last.stdin.flush();
    expect(await outcomeOf(last)).toEqual(success("got second\n"));
    expect(await outcomeOf(other)).toEqual(success("got first\ngot second\n"));
  });

  test("who looks at a container and has stopped reading keeps neither its end nor its removal from being done", async () => {
    const script = "i=0; while :; do echo $i; i=$((i+1)); done";
    const id = await runDetached([image, "sh", "-c", script]);
    const stuck = runner.start(["attach", "--no-stdin", id]);
    const chunks = stuck.stdout.getReader();
    await chunks.read();
    stuck.kill("SIGSTOP");
    const lines = () => loggedBy(id).length;
    let before = -1;
    await until("the container has to wait", async () => {
      const now = lines();
      const same = now === before && now > 0;
      before = now;
      if (!same) await Bun.sleep(500);
      return same;
    });
    expect(await runner.gocker(["kill", id])).toEqual(success(`${id}\n`));
    await untilExited(id);
    expect(stateOf(id)).toMatchObject({ status: "exited", exitCode: 137 });
    const last = loggedBy(id).length;
    expect(await runner.gocker(["rm", "-f", id])).toEqual(success(`${id}\n`));
    stuck.kill("SIGCONT");
    // It has missed nothing, for all that.
    let shown = 0;
    for (;;) {
      const { done, value } = await chunks.read();
      if (done) break;
      shown = Number(new TextDecoder().decode(value).trimEnd().split("\n").at(-1));
    }
    expect(await stuck.exited).toBe(137);
    expect(shown).toBeGreaterThanOrEqual(last - 2);
  });

  test("policies start a container again, until it is stopped", async () => {
    const limited = await runDetached(["--restart", "on-failure:2", image, "sh", "-c", "echo run; exit 5"]);
    await until("it has given up", () => stateOf(limited).status === "exited" && loggedBy(limited).length === 3);
    expect(stateOf(limited)).toMatchObject({ exitCode: 5, restartCount: 2 });
    const good = await runDetached(["--restart", "on-failure", image, "true"]);
    await untilExited(good);
    expect(stateOf(good)).toMatchObject({ exitCode: 0 });
    const always = await runDetached(["--restart", "always", image, "sh", "-c", "echo run"]);
    await until("it was started three times", () => loggedBy(always).length >= 3);
    expect(await runner.gocker(["stop", always])).toEqual(success(`${always}\n`));
    expect(stateOf(always).status).toBe("exited");
    const runs = loggedBy(always).length;
    expect(await runner.gocker(["start", always])).toEqual(success(`${always}\n`));
    await until("it is started again", () => loggedBy(always).length > runs);
  });

  test("what policies want to run is stopped before a shutdown, and started after a boot", async () => {
    const wanted = await runDetached(["--name", "wanted", "--restart", "unless-stopped", image, "sleep", "1000"]);
    const stopped = await runDetached(["--name", "stopped", "--restart", "unless-stopped", image, "sleep", "1000"]);
    const without = await runDetached(["--name", "without", image, "sleep", "1000"]);
    await runner.gocker(["stop", "-t", "0", "stopped"]);
    expect(await runner.gocker(["stop", "-t", "0", "--restartable"])).toEqual(success("wanted\n"));
    expect([wanted, stopped, without].map((id) => stateOf(id).status)).toEqual(["exited", "exited", "running"]);
    expect(await runner.gocker(["start", "--restartable"])).toEqual(success("wanted\n"));
    expect([wanted, stopped].map((id) => stateOf(id).status)).toEqual(["running", "exited"]);
    expect(await runner.gocker(["start", "--restartable"])).toEqual(success(""));
  });

  test("prune removes what does not run, after a question", async () => {
    const running = await runDetached([image, "sleep", "1000"]);
    const { stdout } = await runner.gocker(["create", image, "true"]);
    expect(await runner.gocker(["container", "prune"], { stdin: "n\n" })).toMatchObject({ exitCode: 0 });
    expect(existsSync(directory(stdout.trim()))).toBe(true);
    const outcome = await runner.gocker(["container", "prune", "-f"]);
    expect(outcome).toEqual(success(`Deleted Containers:\n${stdout}\nTotal reclaimed space: 0B\n`));
    expect(existsSync(directory(stdout.trim()))).toBe(false);
    expect(stateOf(running).status).toBe("running");
  });

  test("its health is looked at while it runs, by commands that are executed in it", async () => {
    const check = [
      "--health-cmd",
      "echo looked; test -e /tmp/good",
      "--health-interval",
      "100ms",
      "--health-retries",
      "2",
    ];
    const id = await runDetached([...check, image, "sleep", "1000"]);
    const health = async () => {
      const { stdout } = await runner.gocker(["inspect", "-f", "{{json .State.Health}}", id]);
      return JSON.parse(stdout) as {
        Status: string;
        FailingStreak: number;
        Log: { Output: string; ExitCode: number }[];
      };
    };
    await until("it is found not to work", async () => (await health())?.Status === "unhealthy");
    expect((await health()).Log.at(-1)).toMatchObject({ ExitCode: 1, Output: "looked\n" });
    expect(await runner.gocker(["exec", id, "touch", "/tmp/good"])).toEqual(success(""));
    await until("it is found to work", async () => (await health()).Status === "healthy");
    expect((await health()).FailingStreak).toBe(0);
    expect((await runner.gocker(["ps"])).stdout).toContain("(healthy)");
    const events = await runner.gocker(["events", "--since", "1h", "--until", "0s", "--format", "{{.Action}}"]);
    const told = events.stdout.split("\n").filter((action) => action.startsWith("health_status"));
    expect(told).toEqual(["health_status: unhealthy", "health_status: healthy"]);
  });

  test("a health check that is long in coming lets the monitor sleep, and is made all the same", async () => {
    const check = ["--health-cmd", "true", "--health-interval", `${patience(6)}s`];
    const id = await runDetached([...check, image, "sleep", "1000"]);
    const monitor = monitorOf(id);
    await until("it sleeps", () => readFileSync(`/proc/${monitor}/maps`, "utf8").includes("memfd:gocker"));
    expect(stateOf(id)).toMatchObject({ health: { status: "starting" } });
    await until("it has looked", () => JSON.stringify(stateOf(id)).includes('"healthy"'));
  });

  test("an output that takes nothing is told of, and the container is not held up", async () => {
    const { stdout } = await runner.gocker(["create", image, "sh", "-c", "echo lost; exit 3"]);
    const script = `exec "$0" start -a "$1" > /dev/full`;
    const environment = { PATH: process.env["PATH"] ?? "", ...runner.sandbox.environment };
    const words = ["sh", "-c", script, gockerBinary(), stdout.trim()];
    const child = Bun.spawnSync(words, { env: environment });
    expect(child.stderr.toString()).toContain("no space left on device");
    expect(child.exitCode).toBe(125);
    await untilExited(stdout.trim());
    expect(stateOf(stdout.trim())).toMatchObject({ exitCode: 3 });
  });

  test("--rm takes the container away when it has ended", async () => {
    const id = await runDetached(["--rm", image, "true"]);
    await until("it is gone", () => !existsSync(directory(id)) && !existsSync(lockOf(id)));
  });

  test("a command that is not there: nothing runs, and the container tells", async () => {
    const outcome = await runner.gocker(["run", "-d", "--name", "none", image, "no-such"]);
    expect(outcome).toMatchObject({ stdout: "", exitCode: 127 });
    expect(outcome.stderr).toContain("cannot run no-such: executable file not found");
    expect(await runner.gocker(["start", "none"])).toMatchObject({ stdout: "", exitCode: 127 });
    const parts = "{{.State.Status}} {{.State.ExitCode}} {{.State.StartedAt}}";
    expect((await runner.gocker(["inspect", "-f", parts, "none"])).stdout).toBe("created 127 0001-01-01T00:00:00Z\n");
    await runner.gocker(["run", "-d", "--rm", image, "no-such"]);
    expect(runner.leftovers().filter((name) => !name.startsWith("names/"))).toHaveLength(1);
  });

  test("a start that fails takes nothing from what is told of the one before", async () => {
    const id = await runDetached([image, "rm", "/bin/rm"]);
    await untilExited(id);
    const { startedAt } = stateOf(id);
    expect(startedAt).toBeString();
    expect(await runner.gocker(["start", id])).toMatchObject({ stdout: "", exitCode: 127 });
    expect(stateOf(id)).toMatchObject({ status: "exited", exitCode: 127, startedAt });
    expect((await runner.gocker(["ps", "-a"])).stdout).toContain("Exited (127)");
  });

  test("a container dies with its monitor, and the next command puts that on record", async () => {
    const id = await runDetached([image, "sleep", "1000"]);
    const { pid } = stateOf(id);
    process.kill(monitorOf(id), "SIGKILL");
    await until("it is dead", () => !existsSync(`/proc/${pid}/root/bin`));
    expect((await runner.gocker(["ps", "-a"])).stdout).toContain("Exited (137)");
    expect(existsSync(lockOf(id))).toBe(false);
  });

  test("a terminal that nobody had open for a while is opened anew, also while the monitor sleeps", async () => {
    const reopens =
      "exec 0<&- 1>&- 2>&-; sleep 5; exec 0<> /dev/console >&0 2>&0; echo two; read word; echo three $word";
    const id = await runDetached(["-it", image, "sh", "-c", `echo one; ${reopens}`]);
    await until("the terminal was opened anew", () => loggedBy(id).length > 1, 15_000);
    const environment = { PATH: process.env["PATH"] ?? "", ...runner.sandbox.environment };
    await using session = new TerminalSession([gockerBinary(), "attach", id], environment);
    session.type("word\n");
    expect(await session.process.exited).toBe(0);
    await until("the container has ended", () => stateOf(id).status === "exited");
    expect(stateOf(id)).toMatchObject({ exitCode: 0 });
    expect(loggedBy(id)).toEqual(["one", "two", "word", "three word"].map((line) => `stdout: ${line}\r\n`));
  });

  test("with --detach-keys a container with --rm can be left, too, and is removed when it has ended", async () => {
    const environment = { PATH: process.env["PATH"] ?? "", ...runner.sandbox.environment };
    const words = ["run", "--rm", "-it", "--detach-keys", "ctrl-x", "--name", "left", image, "sh"];
    {
      await using session = new TerminalSession([gockerBinary(), ...words], environment);
      await session.expect("/ # ");
      session.type("\u0018");
      expect(await session.process.exited).toBe(0);
    }
    expect((await runner.gocker(["ps", "--format", "{{.Names}}"])).stdout).toBe("left\n");
    expect(await runner.gocker(["stop", "-t", "0", "left"])).toEqual(success("left\n"));
    expect(runner.leftovers()).toEqual([]);
  });

  test("a terminal is left by its keys and taken up again", async () => {
    await runDetached(["-it", "--name", "shell", "--hostname", "box", image, "sh"]);
    const environment = { PATH: process.env["PATH"] ?? "", ...runner.sandbox.environment };
    {
      await using session = new TerminalSession([gockerBinary(), "attach", "shell"], environment);
      await session.expect("/ # ");
      session.type("echo $((40 + 2)) $(stty size)\n");
      await session.expect("42 30 90");
      session.type("\u0010\u0011");
      expect(await session.process.exited).toBe(0);
    }
    await using session = new TerminalSession([gockerBinary(), "attach", "shell"], environment);
    session.type("\n");
    await session.expect("/ # ");
    session.type("exit 9\n");
    expect(await session.process.exited).toBe(9);
  });
});

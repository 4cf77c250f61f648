import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { gockerBinary } from "../helpers/binary.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, type Runner } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";
import { TerminalSession } from "../helpers/terminal-session.ts";

describe.skipIf(!canRunCorpus)("a terminal", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  const environment = () => ({ PATH: process.env["PATH"] ?? "", ...runner.sandbox.environment });
  /** `gocker run --rm` on a terminal. */
  const session = (...words: string[]) => new TerminalSession([gockerBinary(), "run", "--rm", ...words], environment());

  test("a shell: its prompt, its terminal, its exit code; the log names the container", async () => {
    await using terminal = session("-it", "--network", "none", image, "sh");
    await terminal.expect(`Running [sh] on image ${image}\nStarting container `);
    const id = await terminal.expect(/[0-9a-f]{64}/);
    await terminal.expect("/ # ");
    terminal.type("tty; hostname; stty size; ls -l /dev/console | cut -c1; echo $TERM\n");
    await terminal.expect(`/dev/pts/0\n${id.slice(0, 12)}\n30 90\nc\nxterm\n`);
    terminal.type("exit 9\n");
    expect(await terminal.process.exited).toBe(9);
  });

  test("the container's terminal does the echo and the lines: gocker's own is raw meanwhile", async () => {
    await using terminal = session("-it", image, "sh");
    const before = terminal.modes;
    await terminal.expect("/ # ");
    const [, , localFlags = 0] = terminal.modes;
    const [echo, canonical, signals] = [0o10, 0o2, 0o1];
    expect(localFlags & (echo | canonical | signals)).toBe(0);
    terminal.type("stty -echo; echo quiet\n");
    await terminal.expect("quiet\n");
    terminal.type("exit\n");
    expect(await terminal.process.exited).toBe(0);
    expect(terminal.modes).toEqual(before);
  });

  test("its size follows the window's, and programs get to know", async () => {
    await using terminal = session("-it", image, "sh");
    await terminal.expect("/ # ");
    // The shell's own editing of lines uses the signal too: a second one, which runs a loop.
    terminal.type("sh -c 'trap \"stty size; exit 6\" WINCH; echo trapped; while :; do sleep 0.01; done'\n");
    await terminal.expect("\ntrapped\n");
    terminal.resize(123, 45);
    await terminal.expect("45 123\n");
    terminal.type("exit $?\n");
    expect(await terminal.process.exited).toBe(6);
  });

  test("ctrl-C interrupts what runs in the container, not gocker", async () => {
    await using terminal = session("-it", image, "sh");
    await terminal.expect("/ # ");
    terminal.type("sh -c 'echo waiting; sleep 1000'\n");
    await terminal.expect("\nwaiting\n");
    terminal.type("\x03");
    await terminal.expect("^C");
    await terminal.expect("/ # ");
    terminal.type("echo still here\r");
    await terminal.expect("\nstill here\n");
    // Before the shell reads again the terminal itself would take it for the end of a line.
    await terminal.expect("/ # ");
    terminal.type("\x04");
    expect(await terminal.process.exited).not.toBeNull();
  });

  test("ctrl-C ends a program that has no shell above it", async () => {
    await using terminal = session("-it", "--init", image, "cat");
    await terminal.expect(/[0-9a-f]{64}\n/);
    terminal.type("x\r");
    await terminal.expect("x\nx\n");
    terminal.type("\x03");
    expect(await terminal.process.exited).toBe(130);
  });

  test("ctrl-Z and job control are the container's shell's", async () => {
    await using terminal = session("-it", image, "sh");
    await terminal.expect("/ # ");
    terminal.type("sh -c 'echo waiting; exec cat'\r");
    await terminal.expect("\nwaiting\n");
    terminal.type("\x1a");
    await terminal.expect(/\[1\]\+\s+Stopped\s+sh -c .*\n/);
    terminal.type("jobs\r");
    await terminal.expect(/\[1\]\+\s+Stopped\s+sh -c .*\n/);
    terminal.type("fg\r");
    await terminal.expect(/fg\nsh -c .*\n/);
    terminal.type("y\r");
    await terminal.expect("y\ny\n");
    terminal.type("\x04");
    await terminal.expect("/ # ");
    terminal.type("echo $?\r");
    await terminal.expect("\n0\n");
    terminal.type("exit\r");
    expect(await terminal.process.exited).toBe(0);
  });

  test("a terminal that nobody in the container had open for a while is opened anew", async () => {
    const reopens =
      "exec 0<&- 1>&- 2>&-; sleep 0.2; exec 0<> /dev/console >&0 2>&0; echo two; read word; echo three $word";
    await using terminal = session("-it", image, "sh", "-c", `echo one; ${reopens}; ${reopens}; exit 5`);
    await terminal.expect("one\ntwo\n");
    terminal.type("word\r");
    await terminal.expect("word\nthree word\ntwo\n");
    terminal.type("again\r");
    await terminal.expect("again\nthree again\n");
    expect(await terminal.process.exited).toBe(5);
  });

  test("every key reaches the container as it is", async () => {
    const keys = "\x01\x02\x11\x13\x0f\x16\x1b[A\x7f\t\u00e9\u{1f4e6}";
    await using terminal = session("-it", image, "sh", "-c", "stty raw -echo; echo ready; head -c 17 | od -An -tx1 -v");
    await terminal.expect("\nready\n");
    terminal.type(keys);
    expect(Buffer.from(keys)).toHaveLength(17);
    const hex = Buffer.from(keys).toString("hex").replace(/../g, " $&");
    await until("the keys come back", () => terminal.output.replaceAll(/\s*\n\s*/g, " ").includes(hex.trim()));
    expect(await terminal.process.exited).toBe(0);
  });

  test("a lot of output comes whole", async () => {
    await using terminal = session("-it", image, "sh", "-c", "seq 1 60000");
    expect(await terminal.process.exited).toBe(0);
    await terminal.expect("\n60000\n");
    await terminal.expect(/^$/);
  });

  describe("the host's terminal is as it was", () => {
    /** The modes around a command, by a shell on the same terminal. */
    const around = async (command: string, act?: (terminal: TerminalSession) => Promise<void>) => {
      const script = `stty rows 30; before=$(stty -g); ${command}; code=$?; test "$before" = "$(stty -g)" && echo "same $code" || echo different`;
      await using terminal = new TerminalSession(["sh", "-c", script], {
        ...environment(),
        G: gockerBinary(),
        I: image,
      });
      await act?.(terminal);
      return await terminal.expect(/same \d+|different/);
    };

    test.each([
      ["$G run --rm -it $I true", 0],
      ["$G run --rm -it $I sh -c 'stty raw -echo; exit 3'", 3],
      // Without -t the container has the very terminal, and may leave it in any mode.
      // Without -t the container has no terminal to change.
      ["$G run --rm -i $I sh -c 'stty raw -echo'", 1],
      ["$G run --rm -it $I no-such-command", 127],
      ["$G run --rm -it -u nosuch $I sh", 125],
      ["$G run --rm -it -v /dev/null:/etc $I sh", 125],
    ])("after %s", async (command, code) => {
      expect(await around(command)).toBe(`same ${code}`);
    });

    test.each(["TERM", "HUP"])("after SIG%s to gocker", async (signal) => {
      const outcome = around("$G run --rm -it --init $I sleep 1000", async () => {
        await runner.untilRunning();
        const gocker = runner.sandbox.processes().find((pid) => isGocker(pid));
        process.kill(gocker ?? 0, `SIG${signal}`);
      });
      expect(await outcome).toBe(`same ${signal === "TERM" ? 143 : 129}`);
    });

    test("after the container was killed from elsewhere", async () => {
      const outcome = around("$G run --rm -it $I sleep 1000", async () => {
        const { pid = 0 } = await runner.untilRunning();
        process.kill(pid, "SIGKILL");
      });
      expect(await outcome).toBe("same 137");
    });
  });

  test("a window that is closed ends the container", async () => {
    {
      await using terminal = session("-it", image, "sh");
      await terminal.expect("/ # ");
    }
    await until("the container is gone", async () => {
      await runner.gocker(["ps"]);
      return runner.leftovers().length === 0;
    });
  });

  test("-t without -i shows, and does not read", async () => {
    await using terminal = session("-t", image, "sh", "-c", "tty; read line; echo got $line");
    await terminal.expect("/dev/pts/0\n");
    const { pid = 0 } = await runner.untilRunning();
    terminal.type("typed\n");
    expect(terminal.process.exitCode).toBeNull();
    process.kill(pid, "SIGKILL");
    expect(await terminal.process.exited).toBe(137);
    expect(terminal.output).not.toContain("got");
    expect(runner.leftovers()).toEqual([]);
  });

  function isGocker(pid: number): boolean {
    return Bun.spawnSync(["readlink", `/proc/${pid}/exe`])
      .stdout.toString()
      .startsWith(gockerBinary());
  }
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readlinkSync } from "node:fs";

import { gockerBinary } from "../helpers/binary.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, type Runner, success } from "../helpers/runner.ts";
import { terminalHolders } from "../helpers/terminal-holders.ts";
import { TerminalSession } from "../helpers/terminal-session.ts";
import { until } from "../helpers/until.ts";

describe.skipIf(!canRunCorpus)("gocker exec on a terminal", () => {
  let runner: Runner;
  let main: ReturnType<Runner["start"]>;
  let pid: number;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    main = runner.start(["run", "--rm", "-i", "--name", "main", runner.image("plain:1"), "cat"]);
    ({ pid = 0 } = await runner.untilRunning());
    await until("its program runs", async () => (await exec("true")).exitCode === 0);
  });
  afterAll(async () => {
    if (runner === undefined) return;
    void main.stdin.end();
    await main.exited;
    const left = runner.leftovers();
    await runner[Symbol.asyncDispose]();
    expect(left).toEqual([]);
  });

  const exec = (...words: string[]) => runner.gocker(["exec", "main", ...words]);
  const environment = () => ({ PATH: process.env["PATH"] ?? "", ...runner.sandbox.environment });
  /** `gocker exec` on a terminal. */
  const session = (...words: string[]) => new TerminalSession([gockerBinary(), "exec", ...words], environment());
  const inside = (name: string) => `/proc/${pid}/root/${name}`;
  const lives = (number: string) => existsSync(inside(`proc/${number}`));
  /** The shell's number, asked of it. */
  const numberOf = async (terminal: TerminalSession) => {
    terminal.type("echo number $$.\r");
    return /\d+/.exec(await terminal.expect(/\nnumber \d+\./))?.[0] ?? "";
  };

  test("a shell: its prompt, its terminal of the container's, its size, its exit code", async () => {
    await using terminal = session("-it", "main", "sh");
    await terminal.expect("/ # ");
    terminal.type("tty; stty size; echo $TERM; cat /proc/$$/stat | cut -d' ' -f 5-6 | tr ' ' -; echo $$\r");
    const shown = await terminal.expect(/\/dev\/pts\/\d\n30 90\nxterm\n(\d+)-\1\n\1\n/);
    expect(existsSync(inside(shown.split("\n")[0] ?? ""))).toBe(true);
    terminal.type("exit 9\r");
    expect(await terminal.process.exited).toBe(9);
  });

  test("is another user's, who may open it", async () => {
    await using terminal = session("-it", "-u", "nobody", "main", "sh");
    await terminal.expect("~ $ ");
    terminal.type("echo by its name > $(tty); stat -c %U $(tty)\r");
    await terminal.expect("\nby its name\nnobody\n");
    terminal.type("exit\r");
    expect(await terminal.process.exited).toBe(0);
  });

  test("the container's terminal does the echo, the lines and the line feeds; gocker's own is raw meanwhile", async () => {
    await using terminal = session("-it", "main", "sh");
    const before = terminal.modes;
    await terminal.expect("/ # ");
    const [, outputFlags = 0, localFlags = 0] = terminal.modes;
    const [echo, canonical, signals, processed] = [0o10, 0o2, 0o1, 0o1];
    expect(localFlags & (echo | canonical | signals)).toBe(0);
    expect(outputFlags & processed).toBe(0);
    terminal.type("stty | grep -c -- -onlcr; stty -echo; echo quiet\r");
    await terminal.expect("\n0\n");
    await terminal.expect("quiet\n");
    terminal.type("exit\r");
    expect(await terminal.process.exited).toBe(0);
    expect(terminal.modes).toEqual(before);
  });

  test("its size follows the window's", async () => {
    await using terminal = session("-it", "main", "sh");
    await terminal.expect("/ # ");
    terminal.type("sh -c 'trap \"stty size; exit 6\" WINCH; echo trapped; while :; do sleep 0.01; done'\r");
    await terminal.expect("\ntrapped\n");
    terminal.resize(123, 45);
    await terminal.expect("45 123\n");
    terminal.type("exit $?\r");
    expect(await terminal.process.exited).toBe(6);
  });

  test("ctrl-C goes to the command", async () => {
    await using terminal = session("-it", "main", "sh", "-c", "echo waiting; exec sleep 1000");
    await terminal.expect("waiting\n");
    terminal.type("\x03");
    expect(await terminal.process.exited).toBe(130);
  });

  test("without -t ctrl-C goes to the command, too, by gocker", async () => {
    await using terminal = session("-i", "main", "sh", "-c", "trap 'echo interrupted; exit 4' INT; echo waiting; cat");
    await terminal.expect("waiting\n");
    terminal.type("\x03");
    // The shell waits for cat, which gets nothing of the signal.
    terminal.type("\x04");
    expect(await terminal.process.exited).toBe(4);
    await terminal.expect("interrupted\n");
  });

  test("a lot of output comes whole", async () => {
    await using terminal = session("-it", "main", "sh", "-c", "seq 1 60000");
    expect(await terminal.process.exited).toBe(0);
    await terminal.expect("\n60000\n");
    await terminal.expect(/^$/);
  });

  test("a window that is closed hangs the command up, and leaves the container", async () => {
    let number = "";
    {
      await using terminal = session("-it", "main", "sh");
      await terminal.expect("/ # ");
      number = await numberOf(terminal);
      expect(lives(number)).toBe(true);
    }
    await until("the shell has ended", () => !lives(number));
    expect(await exec("echo", "lives")).toEqual(success("lives\n"));
  });

  describe("the detach keys", () => {
    test("leave the command running, and the terminal as it was", async () => {
      const script = `before=$(stty -g); ${gockerBinary()} exec -it main sh; code=$?; test "$before" = "$(stty -g)" && echo same $code`;
      await using terminal = new TerminalSession(["sh", "-c", script], environment());
      await terminal.expect("/ # ");
      const number = await numberOf(terminal);
      // More than a terminal holds: it comes through only as long as somebody takes it.
      terminal.type("until test -e /tmp/go; do sleep 0.01; done; seq 1 60000; touch /tmp/end\r");
      await terminal.expect("touch /tmp/end\n");
      terminal.type("\x10\x11");
      await terminal.expect("same 0\n");
      expect(await terminal.process.exited).toBe(0);
      expect(lives(number)).toBe(true);
      const holder = terminalHolders();
      expect(holder).toHaveLength(1);
      expect(await exec("touch", "/tmp/go")).toEqual(success(""));
      await until("the command has gone on", () => existsSync(inside("tmp/end")));
      expect(lives(number)).toBe(true);
      expect(gockersOf(runner)).toEqual([main.pid]);
      // The shell is hung up by its end; who holds its terminal ends with the last who has it open.
      expect(await exec("kill", "-9", number)).toEqual(success(""));
      await until("who held the terminal has ended", () => !existsSync(`/proc/${holder[0]}`));
    });

    test("may be others; what only begins like them is typed", async () => {
      await using terminal = session(
        "-it",
        "--detach-keys",
        "ctrl-a,x",
        "main",
        "sh",
        "-c",
        "stty raw -echo; echo ready $$.; od -An -tx1 -v -N 6; exec sleep 1000",
      );
      const number = /\d+/.exec(await terminal.expect(/ready \d+\./))?.[0] ?? "";
      terminal.type("\x10\x11");
      terminal.type("\x01");
      terminal.type("\x01y");
      terminal.type("z");
      await terminal.expect("10 11 01 01 79 7a");
      terminal.type("\x01x");
      expect(await terminal.process.exited).toBe(0);
      expect(lives(number)).toBe(true);
      expect(await exec("kill", "-9", number)).toEqual(success(""));
    });

    test("are the command's where gocker does not pass keys on", async () => {
      await using terminal = session("-t", "main", "sh", "-c", "echo $$ > /tmp/shown; echo begun; exec sleep 1000");
      await terminal.expect("begun\n");
      terminal.type("\x10\x11");
      const number = readFileSync(inside("tmp/shown"), "utf8").trim();
      expect(await exec("kill", number)).toEqual(success(""));
      expect(await terminal.process.exited).toBe(143);
    });
  });

  describe("the host's terminal is as it was", () => {
    test.each([
      ["-it main true", 0],
      ["-it main sh -c 'stty raw -echo; exit 3'", 3],
      ["-it main no-such-command", 127],
      ["-it -u nosuch main sh", 125],
      ["-it -w /no/such main sh", 125],
      ["-it nosuch sh", 125],
    ])("after exec %s", async (words, code) => {
      const script = `stty rows 30; before=$(stty -g); ${gockerBinary()} exec ${words}; code=$?; test "$before" = "$(stty -g)" && echo "same $code" || echo different`;
      await using terminal = new TerminalSession(["sh", "-c", script], environment());
      expect(await terminal.expect(/same \d+|different/)).toBe(`same ${code}`);
    });
  });

  test("-t without -i shows, and does not read", async () => {
    const child = runner.start(["exec", "-t", "main", "sh", "-c", "test -t 0 && test -t 1 && test -t 2 && echo three"]);
    void child.stdin.end();
    expect({ stdout: await child.stdout.text(), exitCode: await child.exited }).toEqual({
      stdout: "three\r\n",
      exitCode: 0,
    });
  });
});

/** The gockers that use the runner's store. */
function gockersOf({ sandbox }: Runner): number[] {
  return sandbox.processes().filter((pid) => readlinkSync(`/proc/${pid}/exe`) === gockerBinary());
}

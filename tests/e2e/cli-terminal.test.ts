import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createSandbox, gockerBinary, type Sandbox } from "../helpers/binary.ts";
import { corpusPath, hasCorpus } from "../helpers/corpus.ts";
import { isRoot } from "../helpers/temporary.ts";

// What one sees when gocker is called in a terminal.

interface Session {
  /** Every byte that came, as text. */
  readonly raw: string;
  /** What stands on the screen in the end: its lines, without colours. */
  readonly screen: string[];
  readonly exitCode: number;
}

interface TerminalOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly columns?: number;
  readonly rows?: number;
}

async function inTerminal(sandbox: Sandbox, words: readonly string[], options: TerminalOptions = {}): Promise<Session> {
  const chunks: Uint8Array[] = [];
  const closed = Promise.withResolvers<void>();
  const child = Bun.spawn([gockerBinary(), ...words], {
    env: { PATH: "/usr/bin:/bin", TERM: "xterm-256color", ...sandbox.environment, ...options.env },
    terminal: {
      cols: options.columns ?? 100,
      rows: options.rows ?? 30,
      data: (_terminal, data) => void chunks.push(data.slice()),
      exit: () => closed.resolve(),
    },
    timeout: 30_000,
    killSignal: "SIGKILL",
  });
  const exitCode = await child.exited;
  // All that was written has come when the terminal's other side is closed.
  await closed.promise;
  child.terminal?.close();
  const raw = Buffer.concat(chunks).toString();
  return { raw, screen: screenOf(raw), exitCode };
}

/** A terminal that knows what gocker uses: lines, colours, CPL (back up so many lines) and ED (erase what follows). */
function screenOf(raw: string): string[] {
  const lines: string[] = [""];
  let row = 0;
  for (const [piece] of raw.matchAll(/\u001b\[\d*[A-Za-z]|\r\n|\r|\n|[^\u001b\r\n]+|[^]/g)) {
    const [, number = "", command] = /^\u001b\[(\d*)([A-Za-z])$/.exec(piece) ?? [];
    if (command === "F") row = Math.max(0, row - Number(number || 1));
    else if (command === "J") lines.splice(row, lines.length, "");
    else if (command === "m") continue;
    else if (piece === "\r\n") lines[++row] ??= "";
    else lines[row] += piece;
  }
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}

const image = "images/docker-save-dive-14layers.tar";
const escape = "\u001b";

describe.skipIf(!hasCorpus || !isRoot)("in a terminal", () => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await createSandbox();
    await sandbox.gocker(["load", "-q", "-i", corpusPath("images/docker-save-alpine-3.10.tar.gz")]);
  });
  afterAll(() => sandbox[Symbol.asyncDispose]());

  test("progress is drawn in place and leaves one line", async () => {
    await using other = await createSandbox();
    const { raw, screen, exitCode } = await inTerminal(other, ["load", "-i", corpusPath(image)]);
    expect(exitCode).toBe(0);
    expect(raw).toContain(`${escape}[J`);
    // How far the bars come depends on how fast the machine is.
    expect(raw).toMatch(/[━╍·]{5}/);
    expect(screen).toEqual([
      expect.stringMatching(/^Loaded .*14layers\.tar \(\d+ layers, [\d.]+ [kM]B in [\d.]+ s\)$/),
      expect.stringMatching(/^Loaded image/),
    ]);
  });

  test("many layers and a small window", async () => {
    await using other = await createSandbox();
    const { raw, screen } = await inTerminal(other, ["load", "-i", corpusPath(image)], { columns: 80, rows: 6 });
    expect(raw).toMatch(/and \d+ more: /);
    // A picture higher than the window would leave parts of itself above.
    for (const [, rows] of raw.matchAll(/\u001b\[(\d+)F/g)) expect(Number(rows)).toBeLessThan(6);
    expect(screen.length).toBe(2);
  });

  test("a terminal that cannot move its cursor gets lines", async () => {
    await using other = await createSandbox();
    const { raw, screen } = await inTerminal(other, ["load", "-i", corpusPath(image)], { env: { TERM: "dumb" } });
    expect(raw).not.toContain(escape);
    expect(screen[0]).toMatch(/: \d+ layers$/);
    expect(screen).toContainEqual(expect.stringMatching(/^[0-9a-f]{12}: loaded, /));
  });

  test("NO_COLOR leaves the colours out, and nothing else", async () => {
    await using other = await createSandbox();
    const { raw, screen } = await inTerminal(other, ["load", "-i", corpusPath(image)], { env: { NO_COLOR: "1" } });
    expect(raw).toContain(`${escape}[J`);
    expect(raw).not.toMatch(/\u001b\[\d*m/);
    expect(screen.length).toBe(2);
    const misuse = await inTerminal(other, ["nonsense"], { env: { NO_COLOR: "1" } });
    expect(misuse.raw).not.toContain(escape);
    const coloured = await inTerminal(other, ["nonsense"], { env: { NO_COLOR: "" } });
    expect(coloured.raw).toContain(`${escape}[31mgocker:${escape}[39m`);
  });

  test("run says what it runs, and the container's ID", async () => {
    const { screen, exitCode } = await inTerminal(sandbox, ["run", "--rm", "alpine:3.10", "echo", "hello"]);
    expect(screen).toEqual([
      "Running [echo hello] on image alpine:3.10",
      expect.stringMatching(/^Starting container [0-9a-f]{64}$/),
      "hello",
    ]);
    expect(exitCode).toBe(0);
  });

  test("help keeps to the window, and to COLUMNS", async () => {
    for (const options of [{ columns: 80 }, { columns: 120, env: { COLUMNS: "80" } }]) {
      const { screen } = await inTerminal(sandbox, ["run", "--help"], options);
      expect(screen.length).toBeGreaterThan(50);
      for (const line of screen) expect(line.length).toBeLessThanOrEqual(80);
    }
  });

  test("load without a file does not wait for somebody to type an archive", async () => {
    const { screen, exitCode } = await inTerminal(sandbox, ["load"]);
    expect(screen[0]).toBe("gocker: load needs an archive, and standard input is a terminal");
    expect(exitCode).toBe(125);
  });
});

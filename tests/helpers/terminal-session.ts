import { until } from "./until.ts";

/** A program on a terminal of its own, as a user has it: a pseudo-terminal that is the session's controlling one. */
export class TerminalSession implements AsyncDisposable {
  readonly process: Bun.Subprocess;
  readonly #terminal: Bun.Terminal;
  #output = "";

  constructor(command: readonly string[], env: Record<string, string>) {
    const decoder = new TextDecoder();
    this.process = Bun.spawn([...command], {
      terminal: {
        cols: 90,
        rows: 30,
        data: (_terminal, data) => {
          this.#output += decoder.decode(data, { stream: true });
        },
      },
      env: { ...env, TERM: "xterm" },
    });
    this.#terminal = this.process.terminal as Bun.Terminal;
  }

  /** All that was shown until now, lines ended by line feeds alone: two terminals may each have put a return there. */
  get output(): string {
    return this.#output.replaceAll(/\r+\n/g, "\n");
  }

  /** The modes of the terminal: termios(3). */
  get modes(): readonly number[] {
    const { inputFlags, outputFlags, localFlags, controlFlags } = this.#terminal;
    return [inputFlags, outputFlags, localFlags, controlFlags];
  }

  type(text: string): void {
    this.#terminal.write(text);
  }

  resize(columns: number, rows: number): void {
    this.#terminal.resize(columns, rows);
  }

  /** Closes the window: the kernel hangs up the program's side. pty(7) */
  hangUp(): void {
    this.#terminal.close();
  }

  /** Waits until what was shown after the last call matches, and takes it away. */
  async expect(pattern: string | RegExp): Promise<string> {
    let end = 0;
    let found = "";
    const matches = () => {
      const { output } = this;
      if (typeof pattern === "string") {
        const at = output.indexOf(pattern);
        [found, end] = [pattern, at + pattern.length];
        return at >= 0;
      }
      const match = pattern.exec(output);
      [found, end] = [match?.[0] ?? "", (match?.index ?? 0) + (match?.[0].length ?? 0)];
      return match !== null;
    };
    try {
      await until(`the terminal shows ${String(pattern)}`, matches);
    } catch (error) {
      throw new Error(`${(error as Error).message}; it shows ${JSON.stringify(this.output)}`, { cause: error });
    }
    this.#output = this.output.slice(end);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill("SIGKILL");
    await this.process.exited;
    if (!this.#terminal.closed) this.#terminal.close();
  }
}

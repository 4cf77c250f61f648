import { join } from "node:path";
import type { NetworkNamespace } from "./network-namespace.ts";
import { patience } from "./patience.ts";

/** How long is waited for what must not come. What comes does so within a millisecond. */
const silence = 300;

/** A process in a network namespace that listens and asks there. Each of its servers answers with its name and whom it sees. */
export class NetworkPeer implements AsyncDisposable {
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #waiting = new Map<number, (result: string) => void>();
  #number = 0;

  constructor(namespace: NetworkNamespace) {
    const program = join(import.meta.dir, "network-peer.py");
    this.#process = Bun.spawn([...namespace.by, "python3", program], { stdin: "pipe", stdout: "pipe" });
    void this.#read();
  }

  async listen(protocol: "tcp" | "udp", port: number, name: string, address?: string): Promise<void> {
    const result = await this.#call("listen", { protocol, port, name, ...(address !== undefined && { address }) });
    if (result !== "listening") throw new Error(`cannot listen: ${result}`);
  }

  /**
   * Asks a server.
   * @returns its name and which client it sees, `nothing` when no answer comes, or the name of the errno
   */
  ask(protocol: "tcp" | "udp", address: string, port: number): Promise<string> {
    return this.#call("ask", { protocol, address, port, seconds: patience(5000) / 1000 });
  }

  /** The same where nothing is to come, which is not waited for long. */
  askInVain(protocol: "tcp" | "udp", address: string, port: number): Promise<string> {
    return this.#call("ask", { protocol, address, port, seconds: silence / 1000 });
  }

  /** Sends a TCP segment of a connection that there is not. */
  async sendStray(source: string, address: string): Promise<void> {
    await this.#call("stray", { source, address });
  }

  #call(verb: string, words: object): Promise<string> {
    const number = ++this.#number;
    void this.#process.stdin.write(`${JSON.stringify({ number, verb, words })}\n`);
    void this.#process.stdin.flush();
    return new Promise((resolve) => this.#waiting.set(number, resolve));
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const { number, result } = JSON.parse(line) as { number: number; result: string };
        this.#waiting.get(number)?.(result);
        this.#waiting.delete(number);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stdin.end();
    await this.#process.exited;
  }
}

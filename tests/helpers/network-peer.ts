import { join } from "node:path";
import { patience } from "./patience.ts";

/** How long is waited for what must not come, in milliseconds. What comes does so within one. */
const silence = 300;

/** Somebody in a network namespace, who listens and asks. Servers answer with their name and whom they see. */
export class NetworkPeer {
  readonly #peers: NetworkPeers;
  readonly #namespace: string;

  /** @param namespace its path */
  constructor(peers: NetworkPeers, namespace: string) {
    this.#peers = peers;
    this.#namespace = namespace;
  }

  async listen(protocol: "tcp" | "udp", port: number, name: string, address?: string): Promise<void> {
    await this.#call("listen", { protocol, port, name, ...(address !== undefined && { address }) });
  }

  /** Gives back whatever comes by TCP. */
  async echo(port: number): Promise<void> {
    await this.#call("listen", { protocol: "echo", port, name: "" });
  }

  /** Is a name server that knows one address for all names. */
  async serveNames(address: string): Promise<void> {
    await this.#call("listen", { protocol: "names", port: 53, name: address });
  }

  /** Sends so many bytes to who gives them back. @returns what became of them */
  transfer(address: string, port: number, size: number): Promise<string> {
    return this.#call("transfer", { address, port, size, seconds: patience(10_000) / 1000 });
  }

  /** Asks for a name. @returns what it stands for, in order and separated by spaces; or how that failed */
  resolve(
    name: string,
    type: "A" | "AAAA" | "PTR" = "A",
    { protocol = "udp", server = "127.0.0.11" }: { protocol?: "udp" | "tcp"; server?: string } = {},
  ): Promise<string> {
    return this.#call("resolve", { name, type, protocol, server, seconds: patience(5000) / 1000 });
  }

  /** Asks by TCP, connects and breaks off, or sends nonsense by UDP, again and again. @returns how often that was possible */
  async flood(kind: "ask" | "break" | "udp", address: string, port: number, count: number): Promise<number> {
    return Number(await this.#call("flood", { kind, address, port, count }));
  }

  /** Connects by TCP so many times and says nothing, until the end of the scope. */
  async hold(address: string, port: number, count: number): Promise<AsyncDisposable> {
    await this.#call("hold", { address, port, count });
    return { [Symbol.asyncDispose]: async () => void (await this.#call("release", {})) };
  }

  /**
   * Asks a server.
   * @returns its name and which client it sees, `nothing` when no answer comes, or the name of the errno
   */
  ask(protocol: "tcp" | "udp", address: string, port: number): Promise<string> {
    return this.#call("ask", { protocol, address, port, seconds: patience(5000) / 1000 });
  }

  /** Asks by UDP, from the same port of the client's each time: to the kernel that is one conversation. */
  goOnAsking(address: string, port: number): Promise<string> {
    return this.#call("ask", { protocol: "udp", address, port, seconds: patience(5000) / 1000, source: 4711 });
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
    return this.#peers.call(this.#namespace, verb, words);
  }
}

/** The process that is all of them. */
export class NetworkPeers implements AsyncDisposable {
  readonly #process = Bun.spawn(["python3", join(import.meta.dir, "network-peer.py")], {
    stdin: "pipe",
    stdout: "pipe",
  });
  readonly #waiting = new Map<number, PromiseWithResolvers<string>>();
  #number = 0;

  constructor() {
    void this.#read();
  }

  /** Ends those who listen in network namespaces, which may be gone but for them. */
  async close(namespaces: readonly string[]): Promise<void> {
    await this.call("", "close", { namespaces });
  }

  /** @param namespace where the process does it, by its path */
  call(namespace: string, verb: string, words: object): Promise<string> {
    const number = ++this.#number;
    const result = Promise.withResolvers<string>();
    this.#waiting.set(number, result);
    void this.#process.stdin.write(`${JSON.stringify({ number, namespace, verb, words })}\n`);
    void this.#process.stdin.flush();
    return result.promise;
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const { number, result, error } = JSON.parse(line) as { number: number; result?: string; error?: string };
        const waiting = this.#waiting.get(number);
        this.#waiting.delete(number);
        if (result === undefined) waiting?.reject(new Error(error));
        else waiting?.resolve(result);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stdin.end();
    await this.#process.exited;
  }
}

import { expect } from "bun:test";
import { readlinkSync } from "node:fs";
import { isRoot } from "./temporary.ts";

/** Whether there can be network namespaces with devices of the test's own: `describe.skipIf(!canMakeNetworks)`. */
export const canMakeNetworks = isRoot && ["ip", "nsenter", "unshare"].every((program) => Bun.which(program) !== null);
if (!canMakeNetworks) console.warn("network devices are not tested: that needs root, iproute2 and util-linux");

/** What `ip -j addr` says of a device. */
export interface DeviceFacts {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly address: string;
  readonly addr_info: readonly {
    readonly local: string;
    readonly prefixlen: number;
    readonly broadcast?: string;
    readonly scope: string;
  }[];
}

/** A network namespace of the test's own, which lives until it is disposed of. Never the host's. */
export class NetworkNamespace implements AsyncDisposable {
  readonly #holder: Bun.Subprocess<"pipe", "pipe", "inherit">;

  private constructor(holder: Bun.Subprocess<"pipe", "pipe", "inherit">) {
    this.#holder = holder;
  }

  /** @param setup words of ip(8), each a command of its own */
  static async create(...setup: string[]): Promise<NetworkNamespace> {
    const holder = Bun.spawn(["unshare", "--net", "sh", "-c", "echo ready; exec cat"], {
      stdin: "pipe",
      stdout: "pipe",
    });
    const namespace = new NetworkNamespace(holder);
    await holder.stdout.getReader().read();
    if (readlinkSync(namespace.path) === readlinkSync("/proc/self/ns/net"))
      throw new Error("this is the host's network");
    for (const words of setup) await namespace.ip(words);
    return namespace;
  }

  /** Where the kernel shows it. */
  get path(): string {
    return `/proc/${this.#holder.pid}/ns/net`;
  }

  /** How a program begins in there: it, and its words, follow these. */
  get by(): string[] {
    return ["nsenter", `--net=${this.path}`];
  }

  /** Runs ip(8) in there. @returns what it says */
  ip(words: string): Promise<string> {
    return ipAt(this.path, words);
  }

  /** Runs a shell's line in there. @throws Error it fails */
  async run(line: string): Promise<void> {
    const child = Bun.spawn([...this.by, "sh", "-c", line], { stderr: "pipe" });
    const [stderr, exitCode] = await Promise.all([child.stderr.text(), child.exited]);
    if (exitCode !== 0) throw new Error(`${line}: ${stderr}`);
  }

  devices(): Promise<DeviceFacts[]> {
    return devicesAt(this.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder.stdin.end();
    await this.#holder.exited;
  }
}

/** The devices of a network namespace by its path, but the loopback. */
export async function devicesAt(path: string): Promise<DeviceFacts[]> {
  const devices = JSON.parse(await ipAt(path, "-j addr show")) as DeviceFacts[];
  return devices.filter(({ ifname }) => ifname !== "lo");
}

async function ipAt(path: string, words: string): Promise<string> {
  const run = Bun.spawn(["nsenter", `--net=${path}`, "ip", ...words.split(" ")], { stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([run.stdout.text(), run.stderr.text()]);
  expect(stderr).toBe("");
  return stdout;
}

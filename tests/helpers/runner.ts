import { expect } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { constants } from "node:os";

import type { ContainerState } from "../../src/container/record.ts";
import { createSandbox, gockerBinary, type GockerOptions, type GockerResult, type Sandbox } from "./binary.ts";
import { type CorpusImage, startCorpusRegistry } from "./corpus-images.ts";
import type { ImageContent, TestRegistry } from "./registry.ts";
import { until } from "./until.ts";

/** How a command ended. */
export type Outcome = Pick<GockerResult, "stdout" | "stderr" | "exitCode">;

/** The outcome of a command that did what it should. */
export function success(stdout: string): Outcome {
  return { stdout, stderr: "", exitCode: 0 };
}

/** What a test file runs containers with: a store of its own, and a registry on loopback. */
export class Runner implements AsyncDisposable {
  readonly sandbox: Sandbox;
  readonly registry: TestRegistry;

  constructor(sandbox: Sandbox, registry: TestRegistry) {
    this.sandbox = sandbox;
    this.registry = registry;
  }

  /** The reference of an image in the registry: `127.0.0.1:PORT/library/alpine:3.19`. */
  image(name: string): string {
    return `${this.registry.address}/${name}`;
  }

  /** What `gocker` with these words printed, and how it ended: made to be compared as a whole. */
  async gocker(words: readonly string[], options?: GockerOptions): Promise<Outcome> {
    const { stdout, stderr, exitCode } = await this.sandbox.gocker(words, options);
    return { stdout, stderr, exitCode };
  }

  /** `gocker run --rm` with these words. */
  run(words: readonly string[], options?: GockerOptions): Promise<Outcome> {
    return this.gocker(["run", "--rm", ...words], options);
  }

  /** Starts `gocker` with pipes and leaves it running; disposing kills it. */
  start(words: readonly string[]) {
    return Bun.spawn([gockerBinary(), ...words], {
      env: { PATH: process.env["PATH"] ?? "", ...this.sandbox.environment },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
  }

  /** Waits until a container runs, and gives its state; only for a store in which one is started. */
  async untilRunning(): Promise<ContainerState & { readonly id: string }> {
    let running: (ContainerState & { readonly id: string }) | undefined;
    const containers = `${this.sandbox.root}/containers`;
    await until("a container runs", () => {
      const id = existsSync(containers)
        ? readdirSync(containers).find((name) => /^[0-9a-f]{64}$/.test(name))
        : undefined;
      const path = `${containers}/${id}/running.json`;
      if (id === undefined || !existsSync(path)) return false;
      running = { id, ...(JSON.parse(readFileSync(path, "utf8")) as ContainerState) };
      return true;
    });
    return running as ContainerState & { readonly id: string };
  }

  async pull(name: string): Promise<string> {
    const reference = this.image(name);
    // A whole distribution takes a machine with other work longer than a command may take elsewhere.
    const { exitCode, stderr } = await this.sandbox.gocker(["pull", "-q", reference], { timeout: 120_000 });
    if (exitCode !== 0) throw new Error(`gocker pull ${reference}: ${stderr}`);
    return reference;
  }

  /** Everything of a container that is there, in words; an empty list when the last one left nothing. */
  leftovers(): string[] {
    const { root } = this.sandbox;
    const containers = `${root}/containers`;
    const inside = (directory: string) => (existsSync(directory) ? readdirSync(directory) : []);
    return [
      ...inside(containers).filter((name) => /[0-9a-f]{64}/.test(name)),
      ...inside(`${containers}/active`).map((id) => `active/${id}`),
      ...inside(`${containers}/names`).map((name) => `names/${name}`),
      ...this.sandbox.mounts().map((point) => `mount ${point}`),
      ...this.sandbox.processes().map((pid) => `process ${pid}`),
    ];
  }

  /** Waits until there are no {@link leftovers}: the process of a monitor ends a moment after its container. */
  async untilClean(): Promise<void> {
    await until("nothing is left", () => this.leftovers().length === 0, 2_000).catch(() =>
      expect(this.leftovers()).toEqual([]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.registry[Symbol.asyncDispose]();
    await this.sandbox[Symbol.asyncDispose]();
  }
}

/**
 * A store that has some images of the corpus already, and some that are made for the test.
 * @param made by their names in the registry
 */
export async function createRunner(
  corpus: readonly CorpusImage[],
  made: Readonly<Record<string, ImageContent>> = {},
): Promise<Runner> {
  const registry = await startCorpusRegistry(corpus);
  for (const [name, content] of Object.entries(made)) await registry.pushImage(name, content);
  const runner = new Runner(await createSandbox(), registry);
  for (const name of [...corpus, ...Object.keys(made)]) await runner.pull(name);
  return runner;
}

/** Directories of cgroups of containers, in every hierarchy: `<hierarchy>/gocker/<id>`. */
export function containerCgroups(ids?: ReadonlySet<string>): string[] {
  const top = "/sys/fs/cgroup";
  const parents = ["", ...readdirSync(top)].map((name) => `${top}/${name}/gocker`).filter((path) => existsSync(path));
  return parents.flatMap((parent) =>
    readdirSync(parent, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && (ids?.has(entry.name) ?? true))
      .map((entry) => `${parent}/${entry.name}`),
  );
}

/** Waits for the end of a process that {@link Runner.start} started. */
export async function outcomeOf(child: ReturnType<Runner["start"]>): Promise<Outcome> {
  void child.stdin.end();
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  const { signalCode } = child;
  return { stdout, stderr, exitCode: child.exitCode ?? 128 + constants.signals[signalCode as NodeJS.Signals] };
}

/** Waits until a process has a handler for a signal. proc_pid_status(5), SigCgt */
export async function untilCatching(pid: number, signal: NodeJS.Signals): Promise<void> {
  const bit = 1n << BigInt(constants.signals[signal] - 1);
  await until(`process ${pid} catches ${signal}`, () => {
    const mask = /^SigCgt:\t([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? "0";
    return (BigInt(`0x${mask}`) & bit) !== 0n;
  });
}

/** A port of 127.0.0.1 that nobody listens on: the kernel chooses it. */
export async function freePort(): Promise<number> {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  await listener[Symbol.dispose]();
  return port;
}

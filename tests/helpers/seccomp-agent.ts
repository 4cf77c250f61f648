import { join } from "node:path";
import { hostArchitecture } from "../../src/linux/arch.ts";
import { forEachSyscall } from "../../src/linux/syscalls.ts";

/** Whether there can be an agent: `describe.skipIf(!canAnswer)`. */
export const canAnswer = Bun.which("python3") !== null;
if (!canAnswer) console.warn("listeners of seccomp filters are not tested: that needs python3");

/** Of this machine, by their names. */
const numbersOfCalls = new Map<string, number>();
forEachSyscall(hostArchitecture, (name, number) => numbersOfCalls.set(name, number));

/** What has happened to the agent, in order. */
export interface AgentEvent {
  readonly state?: Record<string, unknown>;
  /** How many came with a state. */
  readonly descriptors?: number;
  /** The process whose connection ended. */
  readonly closed?: number;
  /** The number of a system call that was notified of. */
  readonly call?: number;
  readonly pid?: number;
  /** The process whose filter nobody has any more. */
  readonly end?: number;
}

/** Somebody who answers for filters at a unix socket, until it is disposed of. */
export class SeccompAgent implements AsyncDisposable {
  readonly events: AgentEvent[] = [];
  readonly #child: Bun.Subprocess<"ignore", "pipe", "inherit">;
  readonly #told: Promise<void>;
  #changed = Promise.withResolvers<void>();

  private constructor(child: Bun.Subprocess<"ignore", "pipe", "inherit">) {
    this.#child = child;
    this.#told = this.#listen();
  }

  /** @param answers the error numbers with which calls fail; all others go on */
  static async start(socket: string, answers: Readonly<Record<string, number>>): Promise<SeccompAgent> {
    // What the machine does not have needs no answer.
    const numbers = Object.entries(answers).map(([name, errno]) => [numbersOfCalls.get(name) ?? -1, errno]);
    const words = [join(import.meta.dir, "seccomp-agent.py"), socket, JSON.stringify(Object.fromEntries(numbers))];
    const agent = new SeccompAgent(Bun.spawn(["python3", ...words], { stdin: "ignore", stdout: "pipe" }));
    await agent.until((events) => events.length > 0);
    agent.events.length = 0;
    return agent;
  }

  /** Waits until what has happened is as wanted. @throws when the agent ends before */
  async until(holds: (events: readonly AgentEvent[]) => boolean): Promise<void> {
    let ended = false;
    while (!holds(this.events)) {
      if (ended) throw new Error(`the agent ended after ${JSON.stringify(this.events)}`);
      ended = await Promise.race([this.#changed.promise.then(() => false), this.#told.then(() => true)]);
    }
  }

  /** What has come from processes with listeners. */
  states(): Record<string, unknown>[] {
    return this.events.flatMap(({ state }) => (state === undefined ? [] : [state]));
  }

  /** Which of the calls were notified of, by their names. */
  notified(...names: readonly string[]): string[] {
    const byNumber = new Map(names.map((name) => [numbersOfCalls.get(name), name]));
    return this.events.flatMap(({ call }) => (call === undefined ? [] : (byNumber.get(call) ?? [])));
  }

  async #listen(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of this.#child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      this.events.push(...lines.map((line) => JSON.parse(line) as AgentEvent));
      const { resolve } = this.#changed;
      this.#changed = Promise.withResolvers();
      resolve();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}

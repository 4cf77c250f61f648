import { join } from "node:path";

import type { Answer, Request, Sample } from "./protocol.ts";

/** A command that is measured. */
export interface Command {
  readonly words: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** What is around one run and is thrown away after it. */
export interface Surroundings extends AsyncDisposable {
  /** @throws Error the command has not done what it is measured for */
  verify(): Promise<void>;
}

/**
 * A process in a mount namespace of its own that runs commands and takes their time. Being small and idle otherwise it
 * measures nothing but them, and its mounts die with it.
 */
export class Runner implements AsyncDisposable {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #answers: AsyncIterator<string>;

  private constructor(child: Bun.Subprocess<"pipe", "pipe", "inherit">) {
    this.#child = child;
    this.#answers = linesOf(child.stdout);
  }

  /**
   * @param view `host`: the machine as it is. `peers`: without the fixed directories of other engines, so that theirs
   * are neither read nor written, and without the unified hierarchy of a hybrid cgroup set-up, which crun refuses.
   */
  static start(view: "host" | "peers"): Runner {
    const words = [process.execPath, join(import.meta.dir, "runner-process.ts")];
    if (view === "peers") words.push("--for-peers");
    return new Runner(
      Bun.spawn(["unshare", "--mount", "--propagation", "private", ...words], {
        stdin: "pipe",
        stdout: "pipe",
        stderr: "inherit",
      }),
    );
  }

  /** @throws Error the command failed */
  async run(command: Command, options: { readonly memory: boolean }): Promise<Sample> {
    const environment = {
      PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
      HOME: "/",
      ...command.environment,
    };
    const answer = await this.#ask({ kind: "run", command: command.words, environment, ...options });
    if (!("sample" in answer)) throw new Error("the runner sent no sample");
    return answer.sample;
  }

  /**
   * Mounts a new, empty ext4 there, in the runner's namespace only; `await using` unmounts it.
   * @param image the file that holds it
   * @param atLeast as many files must lie there in the end
   */
  async freshFileSystem(image: string, mountPoint: string, atLeast: number): Promise<Surroundings> {
    await this.#ask({ kind: "mount", image, mountPoint });
    return {
      verify: async () => {
        await this.#ask({ kind: "count", mountPoint, atLeast });
      },
      [Symbol.asyncDispose]: async () => {
        await this.#ask({ kind: "unmount", mountPoint });
      },
    };
  }

  async #ask(request: Request): Promise<Exclude<Answer, { problem: string }>> {
    await this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    await this.#child.stdin.flush();
    const { done, value } = await this.#answers.next();
    if (done === true) throw new Error("the runner has ended; its messages are above");
    const answer = JSON.parse(value) as Answer;
    if ("problem" in answer) throw new Error(answer.problem);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.end();
    await this.#child.exited;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

import { join } from "node:path";
import { TemporaryDirectory } from "./temporary.ts";

export const docker = Bun.which("docker");
if (docker === null) console.warn("comparisons with docker are skipped: there is no docker command line");

/** A daemon that knows nothing but some answers, and the real docker command line that asks it. */
export class FakeDaemon implements AsyncDisposable {
  readonly #directory = new TemporaryDirectory("docker-daemon");
  readonly #server: ReturnType<typeof Bun.serve>;
  /** By the path after the API's version: `/containers/web/json`. */
  readonly answers = new Map<string, unknown>();

  constructor() {
    this.#server = Bun.serve({
      unix: join(this.#directory.path, "docker.sock"),
      fetch: (request) => {
        const path = new URL(request.url).pathname.replace(/^\/v[\d.]+/, "");
        if (path === "/_ping") return new Response("OK", { headers: { "API-Version": "1.50", OSType: "linux" } });
        const answer = this.answers.get(path);
        return answer === undefined
          ? Response.json({ message: `no such thing: ${path}` }, { status: 404 })
          : Response.json(answer);
      },
    });
  }

  /** `docker` with these words. */
  async docker(...words: readonly string[]): Promise<{ stdout: string; stderr: string; exitCode: number }> {
    await using child = Bun.spawn([docker ?? "", ...words], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent", DOCKER_HOST: `unix://${this.#directory.path}/docker.sock` },
    });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return { stdout, stderr, exitCode: await child.exited };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
    this.#directory[Symbol.dispose]();
  }
}

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

/** podman with a storage of its own, in a mount namespace of its own: what it mounts ends with it. */
export class Podman implements AsyncDisposable {
  readonly #shell: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #output: AsyncIterator<string>;
  readonly #errors: Promise<string>;
  readonly #command: string;
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
    const { PATH = "/usr/sbin:/usr/bin:/sbin:/bin" } = process.env;
    const options = { root: "storage", runroot: "run", tmpdir: "tmp" };
    const places = Object.entries(options).map(([option, name]) => `--${option} '${join(directory, name)}'`);
    this.#command = ["podman", ...places, "--storage-driver", "overlay", "--log-level", "error"].join(" ");
    this.#shell = Bun.spawn(["unshare", "--mount", "--propagation", "private", "sh"], {
      env: { PATH, HOME: directory },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#output = lines(this.#shell.stdout);
    this.#errors = this.#shell.stderr.text();
  }

  static async start(): Promise<Podman> {
    // Not below another directory of the test: podman refuses paths of more than 50 characters.
    return new Podman(await mkdtemp(join(tmpdir(), "gocker-podman-")));
  }

  /**
   * Takes an image into the storage and mounts it.
   * @param layout the directory of an OCI layout, whose image has the tag `image`
   * @returns a path for this process
   * @throws Error with podman's words when it fails
   */
  async mount(layout: string): Promise<string> {
    // podman makes a name of the path that it is given, and has rules for names.
    const id = await this.#run(`pull --quiet 'oci:${basename(layout)}:image'`, dirname(layout));
    const path = await this.#run(`image mount '${id.trim()}'`);
    return `/proc/${this.#shell.pid}/root${path.trim()}`;
  }

  async #run(words: string, directory = "/"): Promise<string> {
    await this.#shell.stdin.write(`cd '${directory}'; ${this.#command} ${words} 2>&1; echo "status $?"\n`);
    await this.#shell.stdin.flush();
    const said: string[] = [];
    for (;;) {
      const { value, done } = await this.#output.next();
      if (done === true) throw new Error(`the shell of podman ended: ${await this.#errors}`);
      if (value === "status 0") return said.join("\n");
      if (value.startsWith("status ")) throw new Error(`podman ${words}: ${value}\n${said.join("\n")}`);
      said.push(value);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#shell.stdin.end();
    await this.#shell.exited;
    await rm(this.#directory, { recursive: true, force: true });
  }
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  return undefined;
}

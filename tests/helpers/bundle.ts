import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { defaultRuntimeSpec } from "../../src/oci/default-runtime-spec.ts";
import type { Process, RuntimeSpec } from "../../src/oci/runtime-spec.ts";
import { detectCgroups } from "../../src/runtime/cgroup/detect.ts";
import { createSandbox, gockerBinary, type Sandbox } from "./binary.ts";
import { patience } from "./patience.ts";
import type { Outcome } from "./runner.ts";
import { isRoot } from "./temporary.ts";

const busybox = ["/bin/busybox", "/usr/bin/busybox"].find((path) => existsSync(path));

/** Whether bundles can be run: `describe.skipIf(!canRunBundles)`. */
export const canRunBundles = isRoot && busybox !== undefined;
if (!canRunBundles) console.warn("the OCI runtime is not tested: that needs root and busybox-static");

const applets = [
  "sh cat rm mkdir umount echo id env ps sleep test touch ls kill mount stat true false pwd hostname readlink tty grep",
  "wc cut uname unshare chroot cmp",
];

/** How a bundle differs from the one that `gocker oci spec` writes, which has no terminal here. */
export interface BundleChange {
  readonly process?: Partial<Process>;
  readonly linux?: RuntimeSpec["linux"];
  readonly spec?: Partial<RuntimeSpec>;
}

/** A root directory of the OCI runtime's and bundles beside it; disposing throws when a container is left. */
export class OciSandbox implements AsyncDisposable {
  readonly sandbox: Sandbox;
  readonly #rootfs: string;

  private constructor(sandbox: Sandbox) {
    this.sandbox = sandbox;
    this.#rootfs = join(sandbox.directory, "rootfs");
    mkdirSync(join(this.#rootfs, "bin"), { recursive: true });
    mkdirSync(join(this.#rootfs, "etc"));
    copyFileSync(busybox as string, join(this.#rootfs, "bin/busybox"));
    for (const name of applets.join(" ").split(" ")) symlinkSync("busybox", join(this.#rootfs, "bin", name));
    writeFileSync(
      join(this.#rootfs, "etc/passwd"),
      "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
    );
    writeFileSync(join(this.#rootfs, "etc/not-executable"), "");
  }

  static async create(): Promise<OciSandbox> {
    return new OciSandbox(await createSandbox());
  }

  get directory(): string {
    return this.sandbox.directory;
  }

  /** The root directory of all bundles. */
  get rootfs(): string {
    return this.#rootfs;
  }

  /** The directory of a new bundle. */
  bundle({ process, linux, spec }: BundleChange = {}): string {
    const directory = join(this.directory, `bundle-${crypto.randomUUID().slice(0, 8)}`);
    mkdirSync(directory);
    const own = defaultRuntimeSpec({ cgroupNamespace: detectCgroups().v1.length === 0 });
    const whole = {
      ...own,
      root: { path: this.#rootfs, readonly: true },
      ...spec,
      process: { ...own.process, terminal: false, ...process },
      linux: { ...own.linux, ...linux },
    };
    writeFileSync(join(directory, "config.json"), JSON.stringify(whole));
    return directory;
  }

  /**
   * `gocker oci` with these words. Its outputs are files: a container that it leaves has them too, and a pipe would not end
   * before the container does.
   * @param options.by a program of the host's and its words, which runs the command that follows these
   * @param options.binary where gocker is: another copy
   */
  async oci(
    words: readonly string[],
    options: { readonly stdin?: string; readonly by?: readonly string[]; readonly binary?: string } = {},
  ): Promise<Outcome> {
    const files = ["stdout", "stderr"].map((name) => join(this.directory, `${name}-${crypto.randomUUID()}`));
    const [stdout = "", stderr = ""] = files;
    const { by = [], binary = gockerBinary() } = options;
    const child = Bun.spawn([...by, binary, "oci", "--root", this.stateRoot, ...words], {
      stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin),
      stdout: Bun.file(stdout),
      stderr: Bun.file(stderr),
      env: { PATH: process.env["PATH"] ?? "", HOME: this.directory },
      timeout: patience(30_000),
      killSignal: "SIGKILL",
    });
    const exitCode = await child.exited;
    const outcome = { stdout: readFileSync(stdout, "utf8"), stderr: readFileSync(stderr, "utf8"), exitCode };
    for (const file of files) rmSync(file);
    return outcome;
  }

  get stateRoot(): string {
    return join(this.directory, "oci");
  }

  /** What `state` says of a container. */
  async state(id: string): Promise<{ readonly status: string; readonly pid: number }> {
    const { stdout, stderr } = await this.oci(["state", id]);
    if (stdout === "") throw new Error(stderr);
    return JSON.parse(stdout) as { status: string; pid: number };
  }

  /** Creates and starts a container that lives until it is killed. @returns the number of its first process */
  async runDetached(id: string, change: BundleChange = {}): Promise<number> {
    const process = { args: ["sleep", "1000"], ...change.process };
    const bundle = this.bundle({ ...change, process });
    const { stderr, exitCode } = await this.oci(["run", "--detach", "--bundle", bundle, id]);
    if (exitCode !== 0) throw new Error(stderr);
    return (await this.state(id)).pid;
  }

  /** Processes of gocker's that are left: none may stay behind a call. */
  gockers(): number[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => isGocker(pid, this.directory));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { stdout } = await this.oci(["list", "--quiet"]);
    const left = stdout.split("\n").filter((id) => id !== "");
    for (const id of left) await this.oci(["delete", "--force", id]);
    await this.sandbox[Symbol.asyncDispose]();
    if (left.length > 0) throw new Error(`the test left the containers ${left.join(", ")}`);
  }
}

function isGocker(pid: number, directory: string): boolean {
  try {
    if (!readlinkSync(`/proc/${pid}/exe`).startsWith(gockerBinary())) return false;
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(directory);
  } catch {
    // It has ended meanwhile.
    return false;
  }
}

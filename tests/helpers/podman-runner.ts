import { existsSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

import { gockerBinary } from "./binary.ts";
import { tool } from "./corpus-images.ts";
import type { Outcome } from "./runner.ts";

export const hasPodman = Bun.which("podman") !== null;

/** crun refuses hosts with both versions of cgroups: there it runs where the unified one is hidden. */
const isHybrid = existsSync("/sys/fs/cgroup/unified/cgroup.controllers");

/**
 * What Docker has and podman has not: its capabilities and the settings of a network namespace. No test needs a network of
 * podman's, whose bridge stays when its containers are gone.
 */
const dockerDefaults = `[containers]
netns = "none"
default_capabilities = ["CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP",
  "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"]
default_sysctls = ["net.ipv4.ping_group_range=0 2147483647", "net.ipv4.ip_unprivileged_port_start=0"]
`;

/** podman with storage of its own and Docker's defaults. Disposing removes it all. */
export class PodmanRunner implements AsyncDisposable {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async create(): Promise<PodmanRunner> {
    const directory = await mkdtemp(join(tmpdir(), "gocker-podman-"));
    await Bun.write(join(directory, "containers.conf"), dockerDefaults);
    return new PodmanRunner(directory);
  }

  async pull(reference: string): Promise<void> {
    await this.#run(["pull", "-q", "--tls-verify=false", reference], "runc");
  }

  /** `podman run --rm` with these words. */
  async run(runtime: "crun" | "runc", words: readonly string[]): Promise<Outcome> {
    return await this.#run(["run", "--rm", "--pull", "never", ...words], runtime);
  }

  /** `podman` with these words, and gocker as its runtime. */
  async withGocker(words: readonly string[], options: { readonly stdin?: string } = {}): Promise<Outcome> {
    const link = join(this.#directory, "gocker-oci");
    if (!existsSync(link)) {
      symlinkSync(gockerBinary(), link);
      // conmon and podman pass no environment on: gocker would keep its state where the machine's own is.
      const state = join(this.#directory, "gocker-state");
      writeFileSync(this.#gocker, `#!/bin/sh\nGOCKER_STATE=${state} exec ${link} "$@"\n`, { mode: 0o755 });
    }
    return await this.#run(words, this.#gocker, options.stdin);
  }

  /** gocker as a runtime, with a state directory in here. */
  get #gocker(): string {
    return join(this.#directory, "gocker-runtime");
  }

  async #run(words: readonly string[], runtime: string, stdin?: string): Promise<Outcome> {
    const at = (name: string) => join(this.#directory, name);
    const places = ["--root", at("root"), "--runroot", at("run"), "--tmpdir", at("tmp")];
    const storage = ["--storage-driver", "overlay", "--storage-opt", "overlay.skip_mount_home=true"];
    const ways = ["--cgroup-manager", "cgroupfs", "--events-backend", "none", "--runtime", runtime];
    const [verb = "", ...rest] = words;
    // podman's own parent is one for the machine, where others have containers too.
    const parent = verb === "run" ? ["--cgroup-parent", `/${basename(this.#directory)}`] : [];
    const command = ["podman", "--log-level", "error", ...places, ...storage, ...ways, verb, ...parent, ...rest];
    const hide = ["unshare", "--mount", "sh", "-c", 'umount /sys/fs/cgroup/unified && exec "$0" "$@"'];
    const child = Bun.spawn([...(isHybrid && runtime === "crun" ? hide : []), ...command], {
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: this.#directory,
        CONTAINERS_CONF: at("containers.conf"),
      },
      stdin: stdin === undefined ? "ignore" : Buffer.from(stdin),
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    if (exitCode !== 0 && words[0] === "pull") throw new Error(`podman ${words.join(" ")}: ${stderr}`);
    return { stdout, stderr, exitCode };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Containers that a test left are mounted below the directory.
    if (existsSync(this.#gocker)) await this.#run(["rm", "--force", "--all", "--time", "0"], this.#gocker);
    await rm(this.#directory, { recursive: true, force: true });
    for (const path of this.#parentCgroups())
      await tool("find", path, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";");
  }

  /** The cgroups that podman makes for the containers and leaves behind. */
  #parentCgroups(): string[] {
    const top = "/sys/fs/cgroup";
    const paths = ["", ...readdirSync(top)].map((name) => join(top, name, basename(this.#directory)));
    return paths.filter((path) => existsSync(path));
  }
}

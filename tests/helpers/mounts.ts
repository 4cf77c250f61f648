import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { defaultRuntimeSpec } from "../../src/oci/default-runtime-spec.ts";
import type { Mount } from "../../src/oci/runtime-spec.ts";
import { type BundleChange, OciSandbox } from "./bundle.ts";
import type { Outcome } from "./runner.ts";

/** Runs containers with mounts of their own. */
export class MountSandbox implements AsyncDisposable {
  readonly oci: OciSandbox;
  #count = 0;

  private constructor(oci: OciSandbox) {
    this.oci = oci;
  }

  static async create(): Promise<MountSandbox> {
    return new MountSandbox(await OciSandbox.create());
  }

  /** The root directory of all containers. */
  get rootfs(): string {
    return this.oci.rootfs;
  }

  /** Runs a script in a bundle with these mounts after the usual ones. */
  async run(script: string, mounts: Mount[], change: BundleChange = {}): Promise<Outcome> {
    const all = [...(defaultRuntimeSpec({ cgroupNamespace: false }).mounts ?? []), ...mounts];
    const bundle = this.oci.bundle({
      ...change,
      process: { args: ["sh", "-c", script], ...change.process },
      spec: { root: { path: this.oci.rootfs, readonly: false }, mounts: all, ...change.spec },
    });
    return this.oci.oci(["run", "--bundle", bundle, `mounts-${process.pid}-${this.#count++}`]);
  }

  /** What a script prints. */
  async output(script: string, mounts: Mount[], change: BundleChange = {}): Promise<string> {
    const { stdout, stderr, exitCode } = await this.run(script, mounts, change);
    if (exitCode !== 0) throw new Error(`${exitCode}: ${stderr}${stdout}`);
    return stdout;
  }

  /** A new directory of the host's. */
  directory(): string {
    const path = join(this.oci.directory, `source-${this.#count++}`);
    mkdirSync(path);
    return path;
  }

  /** The lines of /proc/self/mountinfo, by their places: attributes of the mount, how it spreads, options of the file system. */
  async mountinfo(mounts: Mount[], change: BundleChange = {}) {
    const text = await this.output("cat /proc/self/mountinfo", mounts, change);
    return new Map(
      text
        .trim()
        .split("\n")
        .map((line) => {
          const [own = "", file = ""] = line.split(" - ");
          const [, , , , place = "", attributes = "", ...spread] = own.split(" ");
          return [place, { attributes: attributes.split(","), spread, options: file.split(" ")[2] ?? "" }] as const;
        }),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.oci[Symbol.asyncDispose]();
  }
}

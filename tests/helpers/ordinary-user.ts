import { chownSync, copyFileSync, constants, lchownSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { defaultRuntimeSpec, rootlessSpec } from "../../src/oci/default-runtime-spec.ts";
import type { RuntimeSpec } from "../../src/oci/runtime-spec.ts";
import { detectCgroups } from "../../src/runtime/cgroup/detect.ts";
import { gockerBinary } from "./binary.ts";
import type { BundleChange, OciSandbox } from "./bundle.ts";
import type { Outcome } from "./runner.ts";

/** A user that this host has no name for, and nothing of. */
export const user = 54_321;

/** What runs the command after these words as that user. setpriv(1) */
export const asUser = ["setpriv", "--reuid", String(user), "--regid", String(user), "--clear-groups"];

/** Whether this host lets users make user namespaces. */
export const mayMakeNamespaces =
  process.getuid?.() === 0 && Bun.spawnSync([...asUser, "unshare", "--user", "true"]).exitCode === 0;

/** A sandbox that is the user's own, with a copy of gocker's binary where that one may execute it. */
export class UsersSandbox {
  readonly sandbox: OciSandbox;
  readonly binary: string;

  constructor(sandbox: OciSandbox) {
    this.sandbox = sandbox;
    this.binary = join(sandbox.directory, "gocker");
    copyFileSync(gockerBinary(), this.binary, constants.COPYFILE_FICLONE);
    chownSync(sandbox.directory, user, user);
    for (const name of readdirSync(sandbox.rootfs, { recursive: true }) as string[]) {
      lchownSync(join(sandbox.rootfs, name), user, user);
    }
    chownSync(sandbox.rootfs, user, user);
  }

  /** The directory of a bundle of `gocker oci spec --rootless` for that user, without a terminal. */
  bundle({ process, linux, spec }: BundleChange = {}): string {
    const whole = defaultRuntimeSpec({ cgroupNamespace: detectCgroups().v1.length === 0 });
    const { linux: own = {}, mounts = [] } = rootlessSpec(whole, { uid: user, gid: user });
    const more: RuntimeSpec["linux"] = { ...own, resources: {}, ...linux };
    return this.sandbox.bundle({ linux: more, spec: { mounts, ...spec }, ...(process !== undefined && { process }) });
  }

  /** `gocker oci` with these words, as the user. @param by what runs that in its turn */
  async oci(words: readonly string[], by: readonly string[] = []): Promise<Outcome> {
    return await this.sandbox.oci(words, { by: [...by, ...asUser], binary: this.binary });
  }

  /** Runs a script in a container to its end. */
  async run(script: string, change: BundleChange = {}, by: readonly string[] = []): Promise<Outcome> {
    const bundle = this.bundle({ ...change, process: { args: ["sh", "-c", script], ...change.process } });
    return await this.oci(["run", "--bundle", bundle, "users"], by);
  }
}

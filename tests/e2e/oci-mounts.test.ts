import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defaultRuntimeSpec } from "../../src/oci/default-runtime-spec.ts";
import type { Mount } from "../../src/oci/runtime-spec.ts";
import { type BundleChange, canRunBundles, OciSandbox } from "../helpers/bundle.ts";
import type { Outcome } from "../helpers/runner.ts";

/** Mounts of a bundle, and what they leave: see `oci-lifecycle.test.ts` for the rest. */
describe.skipIf(!canRunBundles)("oci mounts", () => {
  let oci: OciSandbox;
  let count = 0;

  beforeAll(async () => {
    oci = await OciSandbox.create();
  });

  afterAll(async () => {
    await oci[Symbol.asyncDispose]();
  });

  /** Runs a script in a bundle with these mounts after the usual ones. */
  async function run(script: string, mounts: Mount[], change: BundleChange = {}): Promise<Outcome> {
    const all = [...(defaultRuntimeSpec({ cgroupNamespace: false }).mounts ?? []), ...mounts];
    const bundle = oci.bundle({
      ...change,
      process: { args: ["sh", "-c", script], ...change.process },
      spec: { root: { path: oci.rootfs, readonly: false }, mounts: all, ...change.spec },
    });
    return oci.oci(["run", "--bundle", bundle, `mounts-${count++}`]);
  }

  /** What a script prints. */
  async function output(script: string, mounts: Mount[], change: BundleChange = {}): Promise<string> {
    const { stdout, stderr, exitCode } = await run(script, mounts, change);
    if (exitCode !== 0) throw new Error(`${exitCode}: ${stderr}${stdout}`);
    return stdout;
  }

  /** A new directory of the host's. */
  function directory(): string {
    const path = join(oci.directory, `source-${count++}`);
    mkdirSync(path);
    return path;
  }

  describe("/proc", () => {
    test("is the kernel's, whatever the bundle says", async () => {
      const source = directory();
      for (const destination of ["/proc", "/proc/sys/kernel", "/proc/self"]) {
        const { stderr, exitCode } = await run("echo started", [{ destination, source, options: ["bind"] }]);
        expect(stderr).toContain(`cannot mount at ${destination}: what /proc says is the kernel's to say`);
        expect(exitCode).not.toBe(0);
      }
    });

    test("has the files of lxcfs and its like", async () => {
      const source = join(directory(), "cpuinfo");
      writeFileSync(source, "one processor\n");
      const mount = { destination: "/proc/cpuinfo", source, options: ["bind", "ro"] };
      expect(await output("cat /proc/cpuinfo", [mount])).toBe("one processor\n");
    });

    test("is not mounted where a link of the image leads", async () => {
      const rootfs = directory();
      mkdirSync(join(rootfs, "elsewhere"));
      symlinkSync("elsewhere", join(rootfs, "proc"));
      const { stderr, exitCode } = await run("echo started", [], { spec: { root: { path: rootfs } } });
      expect(stderr).toContain('filesystem "proc" must be mounted on ordinary directory');
      expect(exitCode).not.toBe(0);
    });
  });
});

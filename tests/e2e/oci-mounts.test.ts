import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
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

  describe("a tmpfs", () => {
    const tmpfs = (destination: string, ...options: string[]): Mount => ({
      destination,
      type: "tmpfs",
      source: "tmpfs",
      options,
    });

    test("has the mode of the directory that it covers, unless it has its own", async () => {
      mkdirSync(join(oci.rootfs, "covered"));
      chmodSync(join(oci.rootfs, "covered"), 0o2710);
      const mode = (mount: Mount) => output(`stat -c %a ${mount.destination}`, [mount]);
      expect(await mode(tmpfs("/covered"))).toBe("2710\n");
      expect(await mode(tmpfs("/covered", "ro"))).toBe("2710\n");
      expect(await mode(tmpfs("/covered", "mode=1500"))).toBe("1500\n");
      expect(await mode(tmpfs("/not/there"))).toBe("1777\n");
      expect(statSync(join(oci.rootfs, "not/there")).mode & 0o7777).toBe(0o755);
    });

    test("has the mode of the directory in an earlier mount", async () => {
      const source = directory();
      mkdirSync(join(source, "inner"));
      chmodSync(join(source, "inner"), 0o750);
      const mounts = [{ destination: "/volume", source, options: ["bind"] }, tmpfs("/volume/inner", "ro")];
      expect(
        await output("stat -c %a /volume/inner; touch /volume/inner/x 2>/dev/null || echo read-only", mounts),
      ).toBe("750\nread-only\n");
    });

    test("that is read-only has places for the mounts in it", async () => {
      const source = directory();
      writeFileSync(join(source, "file"), "here");
      const mounts = [tmpfs("/sealed", "ro"), { destination: "/sealed/a/b", source, options: ["bind"] }];
      expect(await output("cat /sealed/a/b/file; touch /sealed/x 2>/dev/null || echo read-only", mounts)).toBe(
        "hereread-only\n",
      );
    });
  });
});

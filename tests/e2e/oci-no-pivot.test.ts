import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chownSync, lchownSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Linux, Namespace } from "../../src/oci/runtime-spec.ts";
import { type BundleChange, canRunBundles, OciSandbox } from "../helpers/bundle.ts";
import { success } from "../helpers/runner.ts";

const all = ["CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SETUID", "CAP_SETGID", "CAP_SETFCAP", "CAP_DAC_OVERRIDE"];
const capabilities = { bounding: all, effective: all, permitted: all };
const first = 100_000;
const ids = [{ containerID: 0, hostID: first, size: 65_536 }];
const types = ["mount", "pid", "network", "ipc", "uts"] as const;
const namespaces: Namespace[] = types.map((type) => ({ type }));
const kinds = [
  ["the host's user namespace", { namespaces }],
  [
    "a user namespace of its own",
    { namespaces: [{ type: "user" } as const, ...namespaces], uidMappings: ids, gidMappings: ids },
  ],
] as const satisfies readonly (readonly [string, Linux])[];

describe.skipIf(!canRunBundles)("--no-pivot", () => {
  let sandbox: OciSandbox;

  beforeAll(async () => {
    sandbox = await OciSandbox.create();
    mkdirSync(join(sandbox.rootfs, "below/here"), { recursive: true });
    Bun.spawnSync(["cp", "-a", sandbox.rootfs, mapped()]);
    for (const name of readdirSync(mapped(), { recursive: true }) as string[]) {
      lchownSync(join(mapped(), name), first, first);
    }
    chownSync(mapped(), first, first);
  });

  afterAll(() => sandbox?.[Symbol.asyncDispose]());

  const mapped = () => join(sandbox.directory, "mapped");

  function bundle(linux: Linux, script: string): string {
    const root = { path: "uidMappings" in linux ? mapped() : sandbox.rootfs, readonly: true };
    const change: BundleChange = { process: { args: ["sh", "-c", script], capabilities }, linux, spec: { root } };
    return sandbox.bundle(change);
  }

  const run = (linux: Linux, script: string, flags = ["--no-pivot"]) =>
    sandbox.oci(["run", ...flags, "--bundle", bundle(linux, script), "moved"]);

  describe.each(kinds)("in %s", (_, linux) => {
    test("the container has the same mounts as with pivot_root, and nothing of the host's", async () => {
      const script = "ls /; cut -d' ' -f4-6 /proc/self/mountinfo; grep -c . /proc/keys";
      const moved = await run(linux, script);
      expect(moved).toEqual({ ...(await run(linux, script, [])), exitCode: 1 });
      expect(moved.stderr).toBe("");
    });

    test("no path leads to what is below", async () => {
      // Files of the directory that is the root, while another one is.
      const escape = "exec 3< /bin; chroot /proc /self/fd/3/busybox ls /self/fd/3/../../../../..";
      expect(await run(linux, escape)).toEqual(success("below\nbin\ndev\netc\nproc\nsys\n"));
    });

    test("a user namespace in it gets no procfs in which nothing is masked", async () => {
      const script = "unshare -Urmpf sh -c 'id -u; mount -t proc proc /below/here || echo refused'";
      const { stdout, stderr } = await run(linux, script);
      expect(stdout).toBe("0\nrefused\n");
      expect(stderr).toContain("permission denied");
    });

    test("exec enters the same root", async () => {
      expect(
        await sandbox.oci(["run", "--detach", "--no-pivot", "--bundle", bundle(linux, "exec sleep 1000"), "moved"]),
      ).toEqual(success(""));
      expect(await sandbox.oci(["exec", "moved", "ls", "/"])).toEqual(success("below\nbin\ndev\netc\nproc\nsys\n"));
      expect(await sandbox.oci(["delete", "--force", "moved"])).toEqual(success(""));
    });
  });
});

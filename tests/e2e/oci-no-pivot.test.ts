import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Linux, Namespace } from "../../src/oci/runtime-spec.ts";
import { canRunBundles, OciSandbox } from "../helpers/bundle.ts";
import { success } from "../helpers/runner.ts";

const all = ["CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SETUID", "CAP_SETGID", "CAP_SETFCAP", "CAP_DAC_OVERRIDE"];
const capabilities = { bounding: all, effective: all, permitted: all };
const types = ["mount", "pid", "network", "ipc", "uts"] as const;
const namespaces: Namespace[] = types.map((type) => ({ type }));

describe.skipIf(!canRunBundles)("--no-pivot", () => {
  let sandbox: OciSandbox;

  beforeAll(async () => {
    sandbox = await OciSandbox.create();
    mkdirSync(join(sandbox.rootfs, "below/here"), { recursive: true });
  });

  afterAll(() => sandbox?.[Symbol.asyncDispose]());

  function bundle(script: string, linux: Linux = {}): string {
    const root = { path: sandbox.rootfs, readonly: true };
    const process = { args: ["sh", "-c", script], capabilities };
    return sandbox.bundle({ process, linux: { namespaces, ...linux }, spec: { root } });
  }

  const run = (script: string, flags = ["--no-pivot"]) =>
    sandbox.oci(["run", ...flags, "--bundle", bundle(script), "moved"]);

  test("the container has the same mounts as with pivot_root, and nothing of the host's", async () => {
    const script = "ls /; cut -d' ' -f4-6 /proc/self/mountinfo; grep -c . /proc/keys";
    const moved = await run(script);
    expect(moved).toEqual({ ...(await run(script, [])), exitCode: 1 });
    expect(moved.stderr).toBe("");
  });

  test("no path leads to what is below", async () => {
    // Files of the directory that is the root, while another one is.
    const escape = "exec 3< /bin; chroot /proc /self/fd/3/busybox ls /self/fd/3/../../../../..";
    expect(await run(escape)).toEqual(success("below\nbin\ndev\netc\nproc\nsys\n"));
  });

  test("a user namespace in it gets no procfs in which nothing is masked", async () => {
    const script = "unshare -Urmpf sh -c 'id -u; mount -t proc proc /below/here || echo refused'";
    const { stdout, stderr } = await run(script);
    expect(stdout).toBe("0\nrefused\n");
    expect(stderr).toContain("permission denied");
  });

  test("exec enters the same root", async () => {
    expect(
      await sandbox.oci(["run", "--detach", "--no-pivot", "--bundle", bundle("exec sleep 1000"), "moved"]),
    ).toEqual(success(""));
    expect(await sandbox.oci(["exec", "moved", "ls", "/"])).toEqual(success("below\nbin\ndev\netc\nproc\nsys\n"));
    expect(await sandbox.oci(["delete", "--force", "moved"])).toEqual(success(""));
  });

  test("a user namespace is refused: its root could take away what lies over the host's root", async () => {
    const ids = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
    const own = { namespaces: [{ type: "user" } as const, ...namespaces], uidMappings: ids, gidMappings: ids };
    const { stderr, exitCode } = await sandbox.oci(["run", "--no-pivot", "--bundle", bundle("true", own), "moved"]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("linux.namespaces: --no-pivot cannot hold a container with a user namespace");
  });
});

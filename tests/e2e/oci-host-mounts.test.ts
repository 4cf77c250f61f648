import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defaultRuntimeSpec } from "../../src/oci/default-runtime-spec.ts";
import type { Namespace } from "../../src/oci/runtime-spec.ts";
import { gockerBinary } from "../helpers/binary.ts";
import { type BundleChange, canRunBundles, OciSandbox } from "../helpers/bundle.ts";
import { success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

const types = ["pid", "network", "ipc", "uts"] as const;
const namespaces: Namespace[] = types.map((type) => ({ type }));
const usual = defaultRuntimeSpec({ cgroupNamespace: false }).mounts ?? [];

describe.skipIf(!canRunBundles)("a container in the host's mount namespace", () => {
  let sandbox: OciSandbox;
  let before: string[];

  beforeAll(async () => {
    sandbox = await OciSandbox.create();
  });

  afterAll(() => sandbox?.[Symbol.asyncDispose]());

  beforeEach(() => {
    before = mounts();
  });

  const mounts = () => sandbox.sandbox.mounts();

  function bundle(args: readonly string[], change: BundleChange = {}): string {
    const own = { namespaces, ...change.linux };
    return sandbox.bundle({ ...change, process: { args: [...args], ...change.process }, linux: own });
  }

  test("sees its own root directory, with its mounts, and leaves nothing", async () => {
    const script = "readlink /proc/self/ns/mnt; ls /; echo x > /dev/null; ls /dev/pts; touch /x; grep -c . /proc/keys";
    const { stdout, stderr, exitCode } = await sandbox.oci(["run", "--bundle", bundle(["sh", "-c", script]), "shares"]);
    const listing = "bin\ndev\netc\nproc\nsys\nptmx\n0\n";
    expect({ stdout, exitCode }).toEqual({ stdout: `${readlinkSync("/proc/self/ns/mnt")}\n${listing}`, exitCode: 1 });
    expect(stderr).toBe("touch: /x: Read-only file system\n");
    expect(mounts()).toEqual(before);
  });

  test("the namespace may be named by its path", async () => {
    const named: Namespace[] = [{ type: "mount", path: "/proc/self/ns/mnt" }, ...namespaces];
    const directory = bundle(["true"], { linux: { namespaces: named } });
    expect(await sandbox.oci(["run", "--bundle", directory, "shares"])).toEqual(success(""));
    expect(mounts()).toEqual(before);
  });

  test("exec has the same root, and delete removes the mounts and no others", async () => {
    expect(await sandbox.oci(["run", "--detach", "--bundle", bundle(["sleep", "1000"]), "shares"])).toEqual(
      success(""),
    );
    expect(mounts().length).toBeGreaterThan(before.length + 3);
    expect(await sandbox.oci(["exec", "shares", "ls", "/"])).toEqual(success("bin\ndev\netc\nproc\nsys\n"));
    expect(await sandbox.oci(["delete", "--force", "shares"])).toEqual(success(""));
    expect(mounts()).toEqual(before);
  });

  test("what cannot be started leaves nothing", async () => {
    const missing = await sandbox.oci(["run", "--bundle", bundle(["nosuch"]), "shares"]);
    expect(missing).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("nosuch") });
    const hook = { path: "/bin/false" };
    const failing = bundle(["true"], { spec: { hooks: { createContainer: [hook] } } });
    expect(await sandbox.oci(["run", "--bundle", failing, "shares"])).toMatchObject({ exitCode: 1 });
    expect(mounts()).toEqual(before);
  });

  test("two with one root directory have nothing to do with each other, nor with what is mounted there later", async () => {
    const directory = bundle(["sleep", "1000"]);
    const start = (id: string) => sandbox.oci(["run", "--detach", "--bundle", directory, id]);
    expect(await start("shares")).toEqual(success(""));
    const alone = mounts();
    expect(await start("other")).toEqual(success(""));
    expect(await sandbox.oci(["delete", "--force", "shares"])).toEqual(success(""));
    expect(mounts().length).toBe(alone.length);
    expect(await sandbox.oci(["exec", "other", "sh", "-c", "test -e /proc/self && ls /dev/pts"])).toEqual(
      success("ptmx\n"),
    );
    expect(await sandbox.oci(["delete", "--force", "other"])).toEqual(success(""));
    expect(mounts()).toEqual(before);
  });

  test("a mount that the caller has at the root directory stays", async () => {
    const rootfs = join(sandbox.directory, "mounted");
    mkdirSync(rootfs);
    const directory = bundle(["true"], { spec: { root: { path: rootfs } } });
    const script = `
      set -e
      mount --bind "$1" "$2"
      before=$(cat /proc/self/mountinfo)
      "$3" oci --root "$4" run --bundle "$5" shares
      test "$before" = "$(cat /proc/self/mountinfo)"`;
    const words = [sandbox.rootfs, rootfs, gockerBinary(), sandbox.stateRoot, directory];
    const child = Bun.spawnSync(["unshare", "--mount", "sh", "-c", script, "sh", ...words]);
    expect({ stderr: child.stderr.toString(), exitCode: child.exitCode }).toEqual({ stderr: "", exitCode: 0 });
  });

  /** Runs a script with gocker's words before a command as `$@`, in a mount namespace of its own. */
  function inNamespace(script: string, directory: string): { readonly stdout: string; readonly stderr: string } {
    const words = [gockerBinary(), "oci", "--root", sandbox.stateRoot, "run", "--bundle", directory, "shares"];
    const env = { ...process.env, DIRECTORY: sandbox.directory };
    const child = Bun.spawnSync(["unshare", "--mount", "sh", "-ec", script, "sh", ...words], { env });
    return { stdout: child.stdout.toString(), stderr: child.stderr.toString() };
  }

  test("what the caller shares with it by a bind mount stays", () => {
    const source = join(sandbox.directory, "shared");
    mkdirSync(source);
    const mounted = { destination: "/dev/shm", type: "bind", source, options: ["rbind", "rshared"] };
    const directory = bundle(["true"], { spec: { mounts: [...usual, mounted] } });
    const script = `
      cd "$DIRECTORY/shared"
      mount -t tmpfs top .; cd "$DIRECTORY/shared"; mount --make-shared .; mkdir sub
      mount -t tmpfs callers sub; mount --make-shared sub; touch sub/precious
      "$@"
      ls sub`;
    expect(inNamespace(script, directory)).toEqual({ stdout: "precious\n", stderr: "" });
  });

  test("nothing of it is left where the host's mounts are shared, also with mounts in the root directory", () => {
    const rootfs = join(sandbox.directory, "with-mounts");
    mkdirSync(rootfs);
    const directory = bundle(["true"], { spec: { root: { path: rootfs } } });
    const script = `
      mount --bind "${sandbox.rootfs}" "${rootfs}"
      mount -t tmpfs inner "${rootfs}/etc"
      mount --make-rshared /
      unshare --mount --propagation slave sh -c 'echo; read end' < "$DIRECTORY/peer-ends" > "$DIRECTORY/peer-begins" &
      exec 3> "$DIRECTORY/peer-ends"
      read line < "$DIRECTORY/peer-begins"
      here=$(cat /proc/self/mountinfo); there=$(cat "/proc/$!/mountinfo")
      "$@"
      test "$here" = "$(cat /proc/self/mountinfo)"; test "$there" = "$(cat "/proc/$!/mountinfo")"
      echo same`;
    Bun.spawnSync(["mkfifo", join(sandbox.directory, "peer-ends"), join(sandbox.directory, "peer-begins")]);
    expect(inNamespace(script, directory)).toEqual({ stdout: "same\n", stderr: "" });
  });

  test("what a call that was killed has mounted goes with the container", async () => {
    const begun = join(sandbox.directory, "begun");
    const program = join(sandbox.directory, "hook");
    writeFileSync(program, `#!/bin/sh\ntouch ${begun}\nexec sleep 1000\n`, { mode: 0o755 });
    const directory = bundle(["true"], { spec: { hooks: { createRuntime: [{ path: program }] } } });
    const words = ["oci", "--root", sandbox.stateRoot, "create", "--bundle", directory, "shares"];
    const child = Bun.spawn([gockerBinary(), ...words], { stdio: ["ignore", "ignore", "ignore"] });
    await until("the hook has begun", () => existsSync(begun));
    child.kill("SIGKILL");
    await child.exited;
    expect(mounts().length).toBeGreaterThan(before.length);
    expect(await sandbox.oci(["delete", "--force", "shares"])).toEqual(success(""));
    expect(mounts()).toEqual(before);
    rmSync(begun);
  });

  test("with a user namespace of its own it is refused", async () => {
    const ids = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
    const own = { namespaces: [{ type: "user" } as const, ...namespaces], uidMappings: ids, gidMappings: ids };
    const { stderr, exitCode } = await sandbox.oci(["run", "--bundle", bundle(["true"], { linux: own }), "shares"]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("with a user namespace the mount namespace must be a new one");
    expect(mounts()).toEqual(before);
  });
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Linux, Mount, Namespace } from "../../src/oci/runtime-spec.ts";
import { type BundleChange, canRunBundles, OciSandbox } from "../helpers/bundle.ts";
import { success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

const first = 100_000;
const mappings = [{ containerID: 0, hostID: first, size: 65_536 }];
const all: Namespace[] = (["user", "mount", "pid", "network", "ipc", "uts"] as const).map((type) => ({ type }));

describe.skipIf(!canRunBundles)("a user namespace", () => {
  let sandbox: OciSandbox;
  let rootfs: string;
  beforeAll(async () => {
    sandbox = await OciSandbox.create();
    // The container's root owns its files. The way to them stays closed to it: the sandbox's directory is the host's.
    rootfs = join(sandbox.directory, "mapped");
    Bun.spawnSync(["cp", "-a", join(sandbox.directory, "rootfs"), rootfs]);
    for (const name of readdirSync(rootfs, { recursive: true }) as string[])
      lchownSync(join(rootfs, name), first, first);
    chownSync(rootfs, first, first);
  });
  afterAll(() => sandbox?.[Symbol.asyncDispose]());

  function change(args: readonly string[], more: BundleChange = {}, linux: Linux = {}): BundleChange {
    const own = { uidMappings: mappings, gidMappings: mappings, namespaces: all, ...linux };
    return {
      ...more,
      process: { args: [...args], ...more.process },
      linux: own,
      spec: { root: { path: rootfs, readonly: true }, ...more.spec },
    };
  }

  const run = async (...words: Parameters<typeof change>) =>
    sandbox.oci(["run", "--bundle", sandbox.bundle(change(...words)), "mapped"]);

  test("its root is nobody on the host, and root inside", async () => {
    const script = [
      "id -u; id -g; id -G; echo $$",
      "cat /proc/self/uid_map",
      "stat -c '%u:%g %a' / /dev /dev/shm",
      "grep -E '^(CapEff|NoNewPrivs)' /proc/self/status",
      "hostname inside; hostname",
    ].join("\n");
    const { stdout, stderr, exitCode } = await run(["sh", "-c", script]);
    expect({ stderr, exitCode }).toEqual({ stderr: "hostname: sethostname: Operation not permitted\n", exitCode: 0 });
    expect(stdout.split("\n").map((line) => line.trim().replace(/\s+/g, " "))).toEqual([
      "0",
      "0",
      "0",
      "1",
      `0 ${first} 65536`,
      "0:0 755",
      "0:0 755",
      "0:0 1777",
      "CapEff: 0000000020000420",
      "NoNewPrivs: 1",
      "gocker",
      "",
    ]);
  });

  test("devices are the host's, masks and read-only paths hold", async () => {
    const script = [
      "echo x > /dev/null; cat /dev/null; test -c /dev/full && test -c /dev/tty && echo devices",
      "wc -c < /proc/keys; ls /proc/scsi /sys/firmware",
      "echo x > /proc/sys/kernel/domainname; touch /x",
    ].join("\n");
    const { stdout, stderr, exitCode } = await run(["sh", "-c", script]);
    expect(stdout).toStartWith("devices\n0\n");
    expect(stderr).toContain("can't create /proc/sys/kernel/domainname: Read-only file system");
    expect(stderr).toContain("touch: /x: Read-only file system");
    expect(exitCode).toBe(1);
  });

  test("what the host's root alone may reach can be mounted, with the owners as they are on the host", async () => {
    const secret = join(sandbox.directory, "secret");
    mkdirSync(secret, { mode: 0o700 });
    writeFileSync(join(secret, "file"), "of the host\n", { mode: 0o600 });
    writeFileSync(join(secret, "own"), "", { mode: 0o600 });
    chownSync(join(secret, "own"), first + 5, first + 5);
    chmodSync(secret, 0o755);
    const mounts: Mount[] = [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/data", type: "bind", source: secret, options: ["rbind", "ro"] },
    ];
    const { stdout, stderr, exitCode } = await run(
      ["sh", "-c", "stat -c '%u' /data/file /data/own; cat /data/file; echo x > /data/own"],
      { spec: { mounts } },
    );
    expect({ stdout, exitCode }).toEqual({ stdout: "65534\n5\n", exitCode: 1 });
    expect(stderr).toContain("can't open '/data/file': Permission denied");
    expect(stderr).toContain("can't create /data/own: Read-only file system");
  });

  test("what the host has locked stays locked: read-only mounts, and what lies under others", async () => {
    const locked = join(sandbox.directory, "locked");
    mkdirSync(join(locked, "below"), { recursive: true });
    const script = [
      'mount --make-rprivate / && mount -t tmpfs -o mode=777 none "$1" && mkdir "$1/below" && touch "$1/below/hidden"',
      'mount -t tmpfs none "$1/below" && mount -o remount,bind,ro,nodev,nosuid,noexec "$1" && shift && exec "$@"',
    ].join(" && ");
    const inside = [
      "mount -o remount,bind,rw,dev,suid,exec /data 2>/dev/null && echo remounted",
      "umount /data/below 2>/dev/null && echo uncovered",
      "echo x 2>/dev/null > /data/written; ls /data /data/below; mount -o remount,bind,ro /data && echo restricted",
    ].join("; ");
    const mounts: Mount[] = [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/data", type: "bind", source: locked, options: ["rbind"] },
    ];
    const sets = ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"];
    const capabilities = { bounding: sets, effective: sets, permitted: sets };
    const changes = change(["sh", "-c", `${inside} 2>&1`], { process: { capabilities }, spec: { mounts } });
    const bundle = sandbox.bundle({ ...changes, spec: { ...changes.spec, root: { path: rootfs } } });
    const by = ["unshare", "-m", "sh", "-ec", script, "sh", locked];
    const { stdout, stderr, exitCode } = await sandbox.oci(["run", "--bundle", bundle, "mapped"], { by });
    expect({ stdout, stderr }).toEqual({ stdout: "/data:\nbelow\n\n/data/below:\nrestricted\n", stderr: "" });
    expect(exitCode).toBe(0);
  });

  test("an idmapped mount shows the host's owners as the container's", async () => {
    const source = join(sandbox.directory, "idmapped");
    mkdirSync(source);
    writeFileSync(join(source, "file"), "", { mode: 0o600 });
    const mounts: Mount[] = [{ destination: "/data", type: "bind", source, options: ["bind", "idmap"] }];
    const { stdout, exitCode } = await run(
      ["sh", "-c", "stat -c %u:%g /data/file; echo by root > /data/new; stat -c %u /data/new"],
      { spec: { mounts } },
    );
    expect({ stdout, exitCode }).toEqual({ stdout: "0:0\n0\n", exitCode: 0 });
    expect(statSync(join(source, "new")).uid).toBe(0);
  });

  test("exec enters it, as who is asked for", async () => {
    const pid = await sandbox.runDetached("mapped", change(["sleep", "1000"]));
    expect(statSync(`/proc/${pid}`).uid).toBe(first);
    const exec = (...words: string[]) => sandbox.oci(["exec", ...words]);
    expect(
      await exec("mapped", "sh", "-c", "id -u; id -G; cat /proc/self/uid_map | wc -l; readlink /proc/self/ns/user"),
    ).toEqual(success(expect.stringMatching(/^0\n0\n1\nuser:\[\d+\]\n$/) as unknown as string));
    expect(await exec("--user", "1000:1000", "mapped", "sh", "-c", "id -u; echo x > /dev/stdout")).toMatchObject({
      stdout: expect.stringContaining("1000\n"),
    });
    expect(await exec("--user", "70000", "mapped", "true")).toEqual({
      stdout: "",
      stderr: "gocker: process.user.uid: 70000 is not in linux.uidMappings\n",
      exitCode: 255,
    });
    expect(await sandbox.oci(["kill", "mapped", "KILL"])).toEqual(success(""));
    await until("it has ended", async () => (await sandbox.state("mapped")).status === "stopped");
    expect(await sandbox.oci(["delete", "mapped"])).toEqual(success(""));
  });

  test("one that is there is joined, with what its other namespaces are", async () => {
    const pid = await sandbox.runDetached("pod", change(["sleep", "1000"]));
    const paths: Namespace[] = (["user", "network", "ipc", "uts"] as const).map((type) => ({
      type,
      path: `/proc/${pid}/ns/${type === "network" ? "net" : type}`,
    }));
    const namespaces: Namespace[] = [...paths, { type: "mount" }, { type: "pid" }];
    const { stdout, stderr, exitCode } = await run(
      ["sh", "-c", "id -u; for n in user net ipc uts; do readlink /proc/self/ns/$n; done; echo $$"],
      { spec: { hostname: "" } },
      { namespaces, uidMappings: [], gidMappings: [] },
    );
    const links = ["user", "net", "ipc", "uts"].map((name) => readlinkSync(`/proc/${pid}/ns/${name}`));
    expect({ stdout, stderr, exitCode }).toEqual({
      stdout: ["0", ...links, "1", ""].join("\n"),
      stderr: "",
      exitCode: 0,
    });
    await sandbox.oci(["delete", "--force", "pod"]);
  });

  test("hooks in the container are its root's", async () => {
    const env = ["PATH=/bin:/usr/bin"];
    const failing = { path: "/bin/sh", args: ["sh", "-c", "id -u >&2; exit 1"], env };
    for (const kind of ["createContainer", "startContainer"] as const) {
      const { stderr, exitCode } = await run(["true"], { spec: { hooks: { [kind]: [failing] } } });
      expect({ stderr, exitCode }).toEqual({
        stderr: `gocker: error running ${kind} hook #0: /bin/sh ended with exit code 1: 0\n`,
        exitCode: 1,
      });
    }
  });

  test("createContainer hooks begin in the root directory, also where the way there is closed to its root", async () => {
    const looking = { path: "/bin/sh", args: ["sh", "-c", "ls >&2; exit 1"], env: ["PATH=/bin:/usr/bin"] };
    const listing = readdirSync(rootfs).toSorted().join("\n");
    for (const mode of [0o700, 0o755]) {
      chmodSync(sandbox.directory, mode);
      const { stderr } = await run(["true"], { spec: { hooks: { createContainer: [looking] } } });
      expect(stderr).toBe(
        `gocker: error running createContainer hook #0: /bin/sh ended with exit code 1: ${listing}\n`,
      );
    }
  });

  test("without mappings its root is the caller", async () => {
    const none = { uidMappings: [], gidMappings: [] };
    const mounts = [{ destination: "/proc", type: "proc", source: "proc" }];
    const words = ["sh", "-c", "read map < /proc/self/uid_map; echo $map"];
    const { stdout, stderr, exitCode } = await run(words, { spec: { mounts } }, none);
    expect({ map: stdout.trim().split(/\s+/), stderr, exitCode }).toEqual({
      map: ["0", "0", "1"],
      stderr: "",
      exitCode: 0,
    });
  });

  test.each<[Linux, string]>([
    [
      { namespaces: [{ type: "mount" }, { type: "uts" }] },
      "linux.uidMappings: there is no user namespace in linux.namespaces that has them",
    ],
    [{ uidMappings: [] }, "linux.uidMappings: a user namespace needs at least one mapping"],
    [
      { gidMappings: [{ containerID: 1, hostID: 5, size: 10 }] },
      "linux.gidMappings: the container's ID 0 is not mapped, which sets it up",
    ],
    [
      { uidMappings: [...mappings, { containerID: 5, hostID: 5, size: 1 }] },
      "linux.uidMappings[1].containerID: overlaps with linux.uidMappings[0]",
    ],
  ])("%j is refused", async (linux, message) => {
    const { stderr, exitCode } = await run(["true"], {}, linux);
    expect({ stderr: stderr.split("\n")[0], exitCode }).toEqual({ stderr: `gocker: ${message}`, exitCode: 1 });
  });
});

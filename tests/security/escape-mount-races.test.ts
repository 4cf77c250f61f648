import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, lstatSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defaultRuntimeSpec } from "../../src/oci/default-runtime-spec.ts";
import type { Linux, Mount } from "../../src/oci/runtime-spec.ts";
import { canAttack, Canary, compileSystemCalls } from "../helpers/attack.ts";
import { canRunBundles } from "../helpers/bundle.ts";
import { patience } from "../helpers/patience.ts";
import { MountSandbox } from "../helpers/mounts.ts";

// CVE-2021-30465 by a bundle, for every kind of mount: somebody exchanges a directory of a volume for a link while the
// container that has its mounts there is started. `escape-races.test.ts` has the same for `run`.

const attempts = 12;

describe.skipIf(!canAttack || !canRunBundles)("a mount in a volume that others change", () => {
  let box: MountSandbox;
  let program: string;
  beforeAll(async () => {
    box = await MountSandbox.create();
    program = join(box.oci.directory, "system-calls");
    writeFileSync(program, compileSystemCalls());
    chmodSync(program, 0o755);
  });
  afterAll(() => box?.[Symbol.asyncDispose]());

  /** A directory whose `place` is a directory and a link to `target` by turns. */
  async function swapped(target: string): Promise<AsyncDisposable & { readonly path: string }> {
    const path = box.directory();
    mkdirSync(join(path, "place/sub"), { recursive: true });
    symlinkSync(target, join(path, "trap"));
    const running = swapper(path);
    const kinds = new Set<boolean>();
    for (const deadline = performance.now() + 10_000; kinds.size < 2; await Bun.sleep(0)) {
      kinds.add(lstatSync(join(path, "place")).isSymbolicLink());
      if (performance.now() > deadline) throw new Error("nothing is exchanged");
    }
    return { path, ...running };
  }

  function swapper(path: string): AsyncDisposable {
    const words = [program, "swap", join(path, "place"), join(path, "trap")];
    const child = Bun.spawn(words, { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
    return {
      async [Symbol.asyncDispose]() {
        child.kill("SIGKILL");
        await child.exited;
      },
    };
  }

  /** A directory that the container has at /protected/sub, read-only. */
  function protectedMount(): Mount & { readonly source: string } {
    const source = box.directory();
    writeFileSync(join(source, "file"), "protected\n");
    return { destination: "/protected/sub", source, options: ["bind", "ro"] };
  }

  function longOverlay(destination: string, ...options: string[]): Mount {
    const base = box.directory();
    const long = (name: string) => join(base, name, "d".repeat(200), "d".repeat(100));
    for (const name of ["lower", "upper", "work"]) mkdirSync(long(name), { recursive: true });
    const directories = ["lower", "upper", "work"].map((name) => `${name}dir=${long(name)}`);
    return { destination, type: "overlay", source: "overlay", options: [...directories, ...options] };
  }

  const tmpfs = (destination: string, ...options: string[]): Mount => ({
    destination,
    type: "tmpfs",
    source: "tmpfs",
    options,
  });
  const bind = (destination: string, ...options: string[]): Mount => ({
    destination,
    source: box.directory(),
    options: ["bind", ...options],
  });

  describe("makes no other mount writable", () => {
    const kinds: Record<string, (place: string) => Mount[]> = {
      "by the attributes of one with long options": (place) => [longOverlay(place, "rw")],
      "by a remount": (place) => [
        bind(place, "ro"),
        { destination: place, source: place, options: ["remount", "bind", "rw"] },
      ],
    };
    for (const [kind, mountsAt] of Object.entries(kinds)) {
      test(kind, async () => {
        const fixed = protectedMount();
        await using volume = await swapped("/protected");
        let started = 0;
        for (let attempt = 0; attempt < attempts * 2; attempt++) {
          const shared = { destination: "/v", source: volume.path, options: ["bind"] };
          const mounts = [fixed, shared, ...mountsAt("/v/place/sub")];
          const { exitCode } = await box.run("touch /protected/sub/new", mounts);
          if (exitCode <= 1) started++;
          expect(readdirSync(fixed.source)).toEqual(["file"]);
        }
        expect(started).toBeGreaterThan(0);
      });
    }
  });

  test("puts nothing into /proc by a link that a file system has brought", async () => {
    const base = box.directory();
    for (const name of ["lower", "upper", "work"]) mkdirSync(join(base, name));
    symlinkSync("/proc/sys/net", join(base, "lower/place"));
    const options = ["lower", "upper", "work"].map((name) => `${name}dir=${join(base, name)}`);
    const overlay = { destination: "/v", type: "overlay", source: "overlay", options };
    const { stdout } = await box.run("ls /proc/sys/net/ipv4; echo end", [overlay, tmpfs("/v/place/ipv4")]);
    expect(stdout).not.toBe("end\n");
  });

  test("of a source in the container's root directory brings nothing of the host's", async () => {
    const outside = box.directory();
    mkdirSync(join(outside, "sub"));
    const canary = new Canary(join(outside, "sub"), "canary");
    symlinkSync(outside, join(box.rootfs, "leading-out"));
    const inside = (path: string, ...options: string[]) => ({
      destination: "/mnt",
      source: join(box.rootfs, path),
      options: ["rbind", ...options],
    });
    for (const mount of [inside("leading-out/sub"), inside("leading-out/sub", "rshared")]) {
      const { stdout, exitCode } = await box.run("cat /mnt/canary /mnt/sub/canary", [mount]);
      expect(stdout).toBe("");
      expect(exitCode).not.toBe(0);
    }
    await using volume = await swapped(outside);
    const shared = { destination: "/v", source: volume.path, options: ["bind"] };
    let started = 0;
    for (let attempt = 0; attempt < attempts * 2; attempt++) {
      const { stdout } = await box.run("cat /mnt/canary 2>/dev/null; echo end", [shared, inside("v/place/sub")]);
      if (stdout !== "") started++;
      expect(stdout).not.toContain(canary.secret);
    }
    expect(started).toBeGreaterThan(0);
  });

  test("waits for nobody at a pipe that comes to the place of a file", async () => {
    const source = join(box.directory(), "file");
    writeFileSync(source, "mine\n");
    let started = 0;
    for (let attempt = 0; attempt < attempts; attempt++) {
      const path = box.directory();
      for (const name of ["place", "trap"]) mkdirSync(join(path, name));
      expect(Bun.spawnSync(["mkfifo", join(path, "trap/file")]).exitCode).toBe(0);
      await using _swapper = swapper(path);
      const shared = { destination: "/v", source: path, options: ["bind"] };
      const before = performance.now();
      const file = { destination: "/v/place/file", source, options: ["bind", "ro"] };
      const { exitCode } = await box.run("true", [shared, file]);
      expect(performance.now() - before).toBeLessThan(patience(5000));
      if (exitCode === 0) started++;
    }
    expect(started).toBeGreaterThan(0);
  });

  describe("never leads out of the container", () => {
    const mappings = [{ containerID: 0, hostID: 5000, size: 1 }];
    const kinds: Record<string, { readonly mounts: () => Mount[]; readonly linux?: Linux; readonly cwd?: string }> = {
      "a bind mount": { mounts: () => [bind("/v/place/sub"), bind("/v/place/sub/file", "ro")] },
      "a bind mount with other owners": {
        mounts: () => [{ ...bind("/v/place/sub"), uidMappings: mappings, gidMappings: mappings }],
      },
      "a file": {
        mounts: () => {
          const source = join(box.directory(), "file");
          writeFileSync(source, "");
          return [{ destination: "/v/place/new/file", source, options: ["bind", "ro"] }];
        },
      },
      "a tmpfs": { mounts: () => [tmpfs("/v/place/sub"), tmpfs("/v/place/made/deep", "ro"), tmpfs("/v/place", "ro")] },
      "a queue": { mounts: () => [{ destination: "/v/place/sub", type: "mqueue", source: "mqueue" }] },
      cgroups: { mounts: () => [{ destination: "/v/place/sub", type: "cgroup", source: "cgroup", options: ["ro"] }] },
      terminals: { mounts: () => [{ destination: "/v/place/sub", type: "devpts", source: "devpts" }] },
      "an overlay with long options": { mounts: () => [longOverlay("/v/place/sub", "ro", "nodev")] },
      "a remount": {
        mounts: () => [bind("/v/place/sub"), { destination: "/v/place/sub", options: ["remount", "bind", "ro"] }],
      },
      "covers, devices and the working directory": {
        mounts: () => [],
        linux: {
          maskedPaths: ["/v/place/sub", "/v/place/canary"],
          readonlyPaths: ["/v/place", "/v/place/sub"],
          devices: [
            { type: "p", path: "/v/place/pipe" },
            { type: "c", path: "/v/place/deep/null", major: 1, minor: 3 },
          ],
        },
        cwd: "/v/place/work/deep",
      },
    };
    const targets: Record<string, (outside: string) => string> = {
      "a directory of the host": (outside) => outside,
      "a climbing path": (outside) => `../../../../../../../..${outside}`,
      "/proc": () => "/proc/sys/net",
      "the root of process 1": () => "/proc/1/root",
      "an open file": () => "/proc/self/fd",
    };
    for (const [kind, { mounts, linux, cwd = "/" }] of Object.entries(kinds)) {
      test(kind, async () => {
        const outside = box.directory();
        mkdirSync(join(outside, "sub"));
        const canary = new Canary(outside, "canary");
        let started = 0;
        for (const targetOf of Object.values(targets)) {
          await using volume = await swapped(targetOf(outside));
          const shared = { destination: "/v", source: volume.path, options: ["bind"] };
          for (let attempt = 0; attempt < attempts / 2; attempt++) {
            const script = `cat ${canary.path} /v/place/canary 2>/dev/null; cat /proc/sys/kernel/ostype /proc/sys/net/ipv4/ip_unprivileged_port_start`;
            const own = defaultRuntimeSpec({ cgroupNamespace: false }).linux ?? {};
            const change = { process: { cwd }, linux: { ...own, ...linux } };
            const { stdout, exitCode } = await box.run(script, [shared, ...mounts()], change);
            expect(stdout).not.toContain(canary.secret);
            if (stdout !== "") expect(stdout).toMatch(/^Linux\n\d+\n$/);
            if (exitCode === 0) started++;
            expect(readdirSync(outside).toSorted()).toEqual(["canary", "sub"]);
            expect(readdirSync(join(outside, "sub"))).toEqual([]);
          }
        }
        expect(box.oci.sandbox.mounts()).toEqual([]);
        expect(canary.isUntouched).toBe(true);
        expect(started).toBeGreaterThan(0);
      });
    }
  });
});

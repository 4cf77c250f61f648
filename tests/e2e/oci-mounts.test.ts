import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  cpSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { AT_FDCWD, S_IFCHR, S_IFIFO } from "../../src/linux/constants.ts";
import { makeDevice } from "../../src/linux/device-number.ts";
import { libc } from "../../src/linux/libc.ts";
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

  function mknod(path: string, mode: number, device: bigint): void {
    expect(libc.mknodat(AT_FDCWD, path, mode, device)).toBe(0);
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

  /** The lines of /proc/self/mountinfo, by their places: attributes of the mount, how it spreads, options of the file system. */
  async function mountinfo(mounts: Mount[], change: BundleChange = {}) {
    const text = await output("cat /proc/self/mountinfo", mounts, change);
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

  describe("bind mounts", () => {
    test("keep what their source is restricted by", async () => {
      mkdirSync(join(oci.rootfs, "restricted"));
      const found = await mountinfo([
        { destination: "/restricted", type: "tmpfs", source: "t", options: ["nosuid", "nodev", "noexec", "noatime"] },
        { destination: "/mnt", source: join(oci.rootfs, "restricted"), options: ["bind", "ro"] },
      ]);
      expect(found.get("/mnt")?.attributes).toEqual(["ro", "nosuid", "nodev", "noexec", "noatime"]);
    });

    test("change with all that is below them when that is asked for", async () => {
      const below = async (...options: string[]) => {
        const found = await mountinfo([{ destination: "/mnt", source: "/sys", options: ["rbind", ...options] }]);
        expect(found.get("/mnt")?.attributes).toContain("ro");
        const places = [...found].filter(([place]) => place.startsWith("/mnt/"));
        expect(places.length).toBeGreaterThan(0);
        return places.map(([, { attributes }]) => attributes);
      };
      for (const attributes of await below("rro", "rnoatime")) {
        expect(attributes).toContain("ro");
        expect(attributes).toContain("noatime");
      }
      expect((await below("ro")).some((attributes) => attributes.includes("rw"))).toBe(true);
    });

    test("may be of what earlier mounts have brought", async () => {
      const source = directory();
      mkdirSync(join(source, "inner"));
      writeFileSync(join(source, "inner/file"), "found\n");
      const inContainer = (path: string) => join(oci.rootfs, path);
      const mounts = [
        { destination: "/first", source, options: ["bind"] },
        { destination: "/second/directory", source: inContainer("first/inner"), options: ["bind"] },
        { destination: "/second/file", source: inContainer("first/inner/file"), options: ["bind"] },
      ];
      expect(await output("cat /second/directory/file /second/file", mounts)).toBe("found\nfound\n");
      const { stderr } = await run("echo started", [{ ...mounts[1], source: inContainer("nothing") } as Mount]);
      expect(stderr).toContain("no such file or directory");
    });

    test("may take the place of the root directory", async () => {
      const source = directory();
      cpSync(oci.rootfs, source, { recursive: true, verbatimSymlinks: true });
      writeFileSync(join(source, "which"), "the other one\n");
      const mounts: Mount[] = [
        { destination: "/", source, options: ["bind"] },
        ...(defaultRuntimeSpec({ cgroupNamespace: false }).mounts ?? []),
        { destination: "/t", type: "tmpfs", source: "t", options: ["mode=700"] },
      ];
      const script = "cat /which; stat -c %a /t; test -e /dev/null && ls /proc/self/fd | wc -l; touch /x 2>&1";
      const { stdout, exitCode } = await run(script, [], {
        spec: { root: { path: oci.rootfs, readonly: true }, mounts },
      });
      expect(stdout).toBe("the other one\n700\n4\ntouch: /x: Read-only file system\n");
      expect(exitCode).toBe(1);
    });

    test("spread as asked for, also in two ways", async () => {
      const source = directory();
      const mount = (destination: string, ...options: string[]) => ({ destination, source, options });
      const found = await mountinfo([
        mount("/a", "bind"),
        mount("/b", "bind", "private", "shared"),
        { destination: "/c", type: "tmpfs", source: "tmpfs", options: ["mode=755", "shared"] },
        mount("/d", "bind", "unbindable"),
      ]);
      expect(found.get("/a")?.spread).toEqual([]);
      expect(found.get("/b")?.spread).toEqual([expect.stringMatching(/^shared:/)]);
      expect(found.get("/c")?.spread).toEqual([expect.stringMatching(/^shared:/)]);
      expect(found.get("/d")?.spread).toEqual(["unbindable"]);
    });
  });

  describe("places", () => {
    test("that are missing are made, where the links of the image lead", async () => {
      const source = directory();
      writeFileSync(join(source, "hosts"), "127.0.0.1 here\n");
      symlinkSync("/places/foo/bar", join(oci.rootfs, "jump"));
      symlinkSync("/jump/baz/hosts", join(oci.rootfs, "etc/hosts"));
      symlinkSync("../places/directory", join(oci.rootfs, "etc/conf"));
      const mounts = [
        { destination: "/etc/hosts", source: join(source, "hosts"), options: ["bind", "ro"] },
        { destination: "/etc/conf", source, options: ["bind", "ro"] },
        { destination: "/etc/conf2/a", type: "tmpfs", source: "t", options: ["ro"] },
      ];
      const found = await mountinfo(mounts);
      expect([...found.keys()].filter((place) => /^\/(etc|places)/.test(place))).toEqual([
        "/places/foo/bar/baz/hosts",
        "/places/directory",
        "/etc/conf2/a",
      ]);
      expect(readFileSync(join(oci.rootfs, "places/foo/bar/baz/hosts"), "utf8")).toBe("");
    });
  });

  describe("remount", () => {
    test("changes what is mounted there already", async () => {
      const source = directory();
      const found = await mountinfo([
        { destination: "/a", source, options: ["bind", "nodev"] },
        { destination: "/a", source, options: ["bind", "remount", "ro"] },
        { destination: "/b", type: "tmpfs", source: "tmpfs", options: ["size=1m"] },
        { destination: "/b", type: "tmpfs", source: "tmpfs", options: ["remount", "size=2m", "noexec"] },
      ]);
      expect(found.get("/a")?.attributes).toEqual(["ro", "nodev", "relatime"]);
      expect(found.get("/b")?.attributes).toEqual(["rw", "noexec", "relatime"]);
      expect(found.get("/b")?.options).toContain("size=2048k");
    });

    test("needs a mount", async () => {
      const { stderr, exitCode } = await run("echo started", [
        { destination: "/etc", options: ["remount", "bind", "ro"] },
      ]);
      expect(stderr).toContain("/etc");
      expect(stderr).toContain("invalid argument");
      expect(exitCode).not.toBe(0);
    });
  });

  describe("covers", () => {
    const linux = {
      maskedPaths: ["/secret", "/secrets", "/secret-link", "/secrets/", "/nothing/there", "/secret"],
      readonlyPaths: ["/fixed", "/fixed", "/nothing/there"],
    };

    test.each([false, true])("hide and protect each path once, on a root that is read-only: %p", async (readonly) => {
      for (const name of ["secrets", "fixed"]) mkdirSync(join(oci.rootfs, name), { recursive: true });
      for (const name of ["secret", "linked", "secrets/file"]) writeFileSync(join(oci.rootfs, name), "hidden");
      rmSync(join(oci.rootfs, "secret-link"), { force: true });
      symlinkSync("/linked", join(oci.rootfs, "secret-link"));
      const change = { linux, spec: { root: { path: oci.rootfs, readonly } } };
      const script = [
        "cat /secret /linked /secret-link /secrets/* 2>&1",
        "ls /secrets",
        "for file in /secrets/x /fixed/x; do touch $file 2>&1; done",
        "umount /secret 2>&1",
        "rm -f /secret 2>&1 || true",
      ].join("; ");
      expect(await output(script, [], change)).toBe(
        [
          "cat: can't open '/secrets/*': No such file or directory",
          "touch: /secrets/x: Read-only file system",
          "touch: /fixed/x: Read-only file system",
          "umount: can't unmount /secret: Operation not permitted",
          `rm: can't remove '/secret': ${readonly ? "Read-only file system" : "Device or resource busy"}`,
          "",
        ].join("\n"),
      );
      const text = await output("cat /proc/self/mounts", [], change);
      const covered = text.split("\n").map((line) => line.split(" ")[1] ?? "");
      expect(covered.filter((place) => /^\/(secret|linked|fixed)/.test(place)).toSorted()).toEqual([
        "/fixed",
        "/linked",
        "/secret",
        "/secrets",
      ]);
    });
  });

  test("an overlay may have directories with long names", async () => {
    const base = directory();
    const long = (name: string) => join(base, name, "d".repeat(200), "d".repeat(100));
    for (const name of ["lower", "upper", "work"]) mkdirSync(long(name), { recursive: true });
    writeFileSync(join(long("lower"), "file"), "of the lower one\n");
    const options = ["lower", "upper", "work"].map((name) => `${name}dir=${long(name)}`);
    const mount = { destination: "/overlay", type: "overlay", source: "overlay", options: [...options, "nodev"] };
    const script =
      "cat /overlay/file; echo new > /overlay/new; grep ' /overlay ' /proc/mounts | cut -d' ' -f3,4 | cut -c1-20";
    expect(await output(script, [mount])).toBe("of the lower one\noverlay rw,nodev,rel\n");
    expect(readFileSync(join(long("upper"), "new"), "utf8")).toBe("new\n");
  });

  describe("other owners", () => {
    const mappings = (...ranges: [containerID: number, hostID: number, size: number][]) => {
      const all = ranges.map(([containerID, hostID, size]) => ({ containerID, hostID, size }));
      return { uidMappings: all, gidMappings: all };
    };
    const owners = "stat -c '%u:%g' /mnt/*";

    test("are those of the mount's mappings, in this mount alone", async () => {
      const source = directory();
      for (const [name, id] of Object.entries({ a: 0, b: 101, c: 500 })) {
        writeFileSync(join(source, name), "");
        chownSync(join(source, name), id, id);
      }
      const map = mappings([0, 100_000, 10], [100, 2000, 10]);
      const mount = { destination: "/mnt", source, options: ["bind"], ...map };
      const plain = { destination: "/plain", source, options: ["bind"] };
      const script = `${owners} /plain/*; echo; touch /mnt/new 2>&1; true`;
      const printed = await output(script, [mount, plain]);
      expect(printed.split("\n").slice(0, 6)).toEqual([
        "100000:100000",
        "2001:2001",
        "65534:65534",
        "0:0",
        "101:101",
        "500:500",
      ]);
      // The container's root is not among those that the mount maps to.
      expect(printed).toContain("touch: /mnt/new: Value too large for defined data type");
    });

    test("write as the owners of the mappings", async () => {
      const source = directory();
      chownSync(source, 7, 7);
      const mount = { destination: "/mnt", source, options: ["bind", "idmap"], ...mappings([7, 0, 1]) };
      await output("touch /mnt/new", [mount]);
      expect(statSync(join(source, "new"))).toMatchObject({ uid: 7, gid: 7 });
    });

    test("are those below too when that is asked for", async () => {
      const rootfs = (path: string) => join(oci.rootfs, path);
      const map = mappings([0, 5000, 1]);
      const mounts = (option: string): Mount[] => [
        { destination: "/tree", type: "tmpfs", source: "t", options: ["mode=755"] },
        { destination: "/tree/below", type: "tmpfs", source: "t", options: ["mode=755"] },
        { destination: "/mnt", source: rootfs("tree"), options: ["rbind", option], ...map },
      ];
      expect(await output("stat -c %u /mnt /mnt/below", mounts("idmap"))).toBe("5000\n0\n");
      expect(await output("stat -c %u /mnt /mnt/below", mounts("ridmap"))).toBe("5000\n5000\n");
    });

    test("are refused by file systems that have none", async () => {
      const mount = { destination: "/mnt", source: "/sys", options: ["bind"], ...mappings([0, 5000, 1]) };
      const { stderr, exitCode } = await run("echo started", [mount]);
      expect(stderr).toContain("change the owners of files at /mnt: mount_setattr: invalid argument");
      expect(stderr).toContain("the file system of its source cannot do that");
      expect(exitCode).not.toBe(0);
      expect(oci.gockers()).toEqual([]);
    });

    test("leave no descriptor in the container", async () => {
      const source = directory();
      const mount = { destination: "/mnt", source, options: ["bind"], ...mappings([0, 5000, 1]) };
      expect(await output("ls -l /proc/self/fd | grep -c -e user: -e /mnt || true", [mount])).toBe("0\n");
    });
  });

  describe("tmpcopyup", () => {
    const tmpfs = (destination: string, ...options: string[]): Mount => ({
      destination,
      type: "tmpfs",
      source: "tmpfs",
      options: ["tmpcopyup", ...options],
    });

    test("begins with what the image has there, as it is there", async () => {
      const top = join(oci.rootfs, "full");
      mkdirSync(join(top, "deep/er"), { recursive: true });
      chownSync(join(top, "deep"), 1000, 1001);
      chmodSync(join(top, "deep"), 0o3775);
      chmodSync(top, 0o750);
      writeFileSync(join(top, "deep/er/tool"), "content\n");
      chownSync(join(top, "deep/er/tool"), 5, 6);
      chmodSync(join(top, "deep/er/tool"), 0o4755);
      linkSync(join(top, "deep/er/tool"), join(top, "again"));
      symlinkSync("/etc/passwd", join(top, "link"));
      symlinkSync("/nowhere", join(top, "dangling"));
      mknod(join(top, "null"), S_IFCHR | 0o640, makeDevice(1, 3));
      mknod(join(top, "fifo"), S_IFIFO | 0o600, 0n);
      const script = [
        "stat -c '%n %a %u:%g %h %F' /full /full/* /full/deep/er/tool",
        "cat /full/again",
        "readlink /full/link",
        "stat -f -c %T /full",
        "rm /full/link /full/again; echo more > /full/new",
      ].join("; ");
      const before = readdirSync(top).toSorted();
      expect(await output(script, [tmpfs("/full", "nodev")])).toBe(
        [
          "/full 750 0:0 3 directory",
          "/full/again 4755 5:6 2 regular file",
          "/full/dangling 777 0:0 1 symbolic link",
          "/full/deep 3775 1000:1001 3 directory",
          "/full/fifo 600 0:0 1 fifo",
          "/full/link 777 0:0 1 symbolic link",
          "/full/null 640 0:0 1 character special file",
          "/full/deep/er/tool 4755 5:6 2 regular file",
          "content",
          "/etc/passwd",
          "tmpfs",
          "",
        ].join("\n"),
      );
      expect(readdirSync(top).toSorted()).toEqual(before);
      expect(readFileSync(join(top, "again"), "utf8")).toBe("content\n");
    });

    test("is read-only when that is asked for, and has room for later mounts", async () => {
      const source = directory();
      mkdirSync(join(oci.rootfs, "kept"), { recursive: true });
      writeFileSync(join(oci.rootfs, "kept/file"), "kept\n");
      const mounts = [tmpfs("/kept", "ro", "mode=700"), { destination: "/kept/new/in", source, options: ["bind"] }];
      const script = "stat -c %a /kept; cat /kept/file; ls /kept; touch /kept/x 2>&1 || true";
      expect(await output(script, mounts)).toBe("700\nkept\nfile\nnew\ntouch: /kept/x: Read-only file system\n");
    });

    test("is an empty tmpfs where the image has nothing", async () => {
      expect(await output("stat -c %a /missing; ls /missing", [tmpfs("/missing")])).toBe("1777\n");
    });

    test("stays below the root directory, whatever the image's links say", async () => {
      const outside = directory();
      writeFileSync(join(outside, "secret"), "");
      symlinkSync(outside, join(oci.rootfs, "leading-out"));
      symlinkSync(`../../../../..${outside}`, join(oci.rootfs, "leading-up"));
      for (const destination of ["/leading-out", "/leading-up"]) {
        expect(await output(`ls ${destination}/`, [tmpfs(destination)])).toBe("");
      }
    });

    test("tells what it is too small for", async () => {
      mkdirSync(join(oci.rootfs, "large"));
      writeFileSync(join(oci.rootfs, "large/file"), Buffer.alloc(100_000));
      const { stderr, exitCode } = await run("echo started", [tmpfs("/large", "size=8k")]);
      expect(stderr).toContain("mounts: tmpcopyup cannot copy what is at /large: ");
      expect(stderr).toContain("no space left on device");
      expect(exitCode).not.toBe(0);
    });

    test("leaves no descriptor in the container", async () => {
      expect(await output("ls /proc/self/fd | wc -l", [tmpfs("/etc")])).toBe("4\n");
    });
  });

  describe("cgroups", () => {
    test.each([true, false])(
      "are read-only, and the container's own: a namespace of theirs %p",
      async (cgroupNamespace) => {
        const { linux, mounts = [] } = defaultRuntimeSpec({ cgroupNamespace });
        expect(mounts.map(({ type }) => type)).toContain("cgroup");
        const change = { linux: linux ?? {}, spec: { root: { path: oci.rootfs }, mounts } };
        const found = await mountinfo([], change);
        const places = [...found].filter(([place]) => place.startsWith("/sys/fs/cgroup"));
        expect(places.length).toBeGreaterThan(0);
        for (const [, { attributes }] of places) expect(attributes).toContain("ro");
        const written = await output(
          "for d in /sys/fs/cgroup /sys/fs/cgroup/*/; do mkdir $d/x 2>/dev/null && echo $d; done; true",
          [],
          change,
        );
        expect(written).toBe("");
      },
    );

    test("of version 2 can be mounted by name in a namespace of theirs", async () => {
      const { linux } = defaultRuntimeSpec({ cgroupNamespace: true });
      const mount = { destination: "/unified", type: "cgroup2", source: "cgroup2", options: ["ro", "nosuid"] };
      expect(
        await output("stat -f -c %T /unified; grep -c . /unified/cgroup.procs", [mount], { linux: linux ?? {} }),
      ).toMatch(/^(cgroup2fs|UNKNOWN)\n[1-9]/);
    });
  });
});

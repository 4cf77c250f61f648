import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defaultRuntimeSpec } from "../../src/oci/default-runtime-spec.ts";
import type { Mount } from "../../src/oci/runtime-spec.ts";
import { canRunBundles } from "../helpers/bundle.ts";
import { MountSandbox } from "../helpers/mounts.ts";

/** Mounts of a bundle, and what they leave: see `oci-lifecycle.test.ts` for the rest. */
describe.skipIf(!canRunBundles)("oci mounts", () => {
  let box: MountSandbox;

  beforeAll(async () => {
    box = await MountSandbox.create();
  });

  afterAll(async () => {
    await box[Symbol.asyncDispose]();
  });

  describe("/proc", () => {
    test("is the kernel's, whatever the bundle says", async () => {
      const source = box.directory();
      for (const destination of ["/proc", "/proc/sys/kernel", "/proc/self"]) {
        const { stderr, exitCode } = await box.run("echo started", [{ destination, source, options: ["bind"] }]);
        expect(stderr).toContain(`cannot mount at ${destination}: what /proc says is the kernel's to say`);
        expect(exitCode).not.toBe(0);
      }
    });

    test("may be the host's", async () => {
      const found = await box.mountinfo([{ destination: "/proc", source: "/proc", options: ["rbind", "nosuid"] }]);
      expect(found.get("/proc")?.attributes).toContain("nosuid");
      const missing = { destination: "/proc", source: join(box.oci.directory, "nothing"), options: ["bind"] };
      expect((await box.run("echo started", [missing])).stderr).toContain("the source of a mount does not exist");
    });

    test("has the files of lxcfs and its like", async () => {
      const source = join(box.directory(), "cpuinfo");
      writeFileSync(source, "one processor\n");
      const mount = { destination: "/proc/cpuinfo", source, options: ["bind", "ro"] };
      expect(await box.output("cat /proc/cpuinfo", [mount])).toBe("one processor\n");
    });

    test("is not mounted where a link of the image leads", async () => {
      const rootfs = box.directory();
      mkdirSync(join(rootfs, "elsewhere"));
      symlinkSync("elsewhere", join(rootfs, "proc"));
      const { stderr, exitCode } = await box.run("echo started", [], { spec: { root: { path: rootfs } } });
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
      mkdirSync(join(box.rootfs, "covered"));
      chmodSync(join(box.rootfs, "covered"), 0o2710);
      const mode = (mount: Mount) => box.output(`stat -c %a ${mount.destination}`, [mount]);
      expect(await mode(tmpfs("/covered"))).toBe("2710\n");
      expect(await mode(tmpfs("/covered", "ro"))).toBe("2710\n");
      expect(await mode(tmpfs("/covered", "mode=1500"))).toBe("1500\n");
      expect(await mode(tmpfs("/not/there"))).toBe("1777\n");
      expect(statSync(join(box.rootfs, "not/there")).mode & 0o7777).toBe(0o755);
    });

    test("has the mode of the directory in an earlier mount", async () => {
      const source = box.directory();
      mkdirSync(join(source, "inner"));
      chmodSync(join(source, "inner"), 0o750);
      const mounts = [{ destination: "/volume", source, options: ["bind"] }, tmpfs("/volume/inner", "ro")];
      expect(
        await box.output("stat -c %a /volume/inner; touch /volume/inner/x 2>/dev/null || echo read-only", mounts),
      ).toBe("750\nread-only\n");
    });

    test("that is read-only has places for the mounts in it", async () => {
      const source = box.directory();
      writeFileSync(join(source, "file"), "here");
      const mounts = [tmpfs("/sealed", "ro"), { destination: "/sealed/a/b", source, options: ["bind"] }];
      expect(await box.output("cat /sealed/a/b/file; touch /sealed/x 2>/dev/null || echo read-only", mounts)).toBe(
        "hereread-only\n",
      );
    });
  });

  describe("bind mounts", () => {
    test("of what is in the root directory follow its links in it, by whichever path of the host's it is named", async () => {
      const secret = box.directory();
      writeFileSync(join(secret, "file"), "the host's\n");
      const alias = join(box.oci.directory, "alias");
      symlinkSync(box.rootfs, alias);
      mkdirSync(join(box.rootfs, "inner"));
      symlinkSync(join(box.rootfs, "inner"), join(box.oci.directory, "inner-alias"));
      for (const place of ["evil", "inner/evil"]) symlinkSync(secret, join(box.rootfs, place));
      const { directory } = box.oci;
      const sources = [
        `${box.rootfs}/evil`,
        `${alias}/evil`,
        `${directory}/inner-alias/evil`,
        `${alias}/../alias/inner/evil`,
        `${alias}/inner/../evil`,
      ];
      for (const source of sources) {
        const mount = { destination: "/mnt", source, options: ["rbind"] };
        const { stdout, stderr, exitCode } = await box.run("cat /mnt/file", [mount]);
        expect({ source, stdout, exitCode }).toEqual({ source, stdout: "", exitCode: 1 });
        expect(stderr).toContain("no such file or directory");
      }
    });

    test("are as their source is, or as their options say", async () => {
      mkdirSync(join(box.rootfs, "restricted"));
      const source = join(box.rootfs, "restricted");
      const found = await box.mountinfo([
        { destination: "/restricted", type: "tmpfs", source: "t", options: ["nosuid", "nodev", "noexec", "noatime"] },
        { destination: "/same", source, options: ["bind", "rslave"] },
        { destination: "/other", source, options: ["bind", "ro", "nodev"] },
      ]);
      expect(found.get("/same")?.attributes).toEqual(["rw", "nosuid", "nodev", "noexec", "noatime"]);
      expect(found.get("/other")?.attributes).toEqual(["ro", "nodev", "noatime"]);
    });

    test("change with all that is below them when that is asked for", async () => {
      const below = async (...options: string[]) => {
        const found = await box.mountinfo([{ destination: "/mnt", source: "/sys", options: ["rbind", ...options] }]);
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
      const source = box.directory();
      mkdirSync(join(source, "inner"));
      writeFileSync(join(source, "inner/file"), "found\n");
      const inContainer = (path: string) => join(box.rootfs, path);
      const mounts = [
        { destination: "/first", source, options: ["bind"] },
        { destination: "/second/directory", source: inContainer("first/inner"), options: ["bind"] },
        { destination: "/second/file", source: inContainer("first/inner/file"), options: ["bind"] },
      ];
      expect(await box.output("cat /second/directory/file /second/file", mounts)).toBe("found\nfound\n");
      const { stderr } = await box.run("echo started", [{ ...mounts[1], source: inContainer("nothing") } as Mount]);
      expect(stderr).toContain("no such file or directory");
    });

    test("may take the place of the root directory", async () => {
      const source = box.directory();
      cpSync(box.rootfs, source, { recursive: true, verbatimSymlinks: true });
      writeFileSync(join(source, "which"), "the other one\n");
      const mounts: Mount[] = [
        { destination: "/", source, options: ["bind"] },
        ...(defaultRuntimeSpec({ cgroupNamespace: false }).mounts ?? []),
        { destination: "/t", type: "tmpfs", source: "t", options: ["mode=700"] },
      ];
      const script = "cat /which; stat -c %a /t; test -e /dev/null && ls /proc/self/fd | wc -l; touch /x 2>&1";
      const { stdout, exitCode } = await box.run(script, [], {
        spec: { root: { path: box.rootfs, readonly: true }, mounts },
      });
      expect(stdout).toBe("the other one\n700\n4\ntouch: /x: Read-only file system\n");
      expect(exitCode).toBe(1);
    });

    test("spread as asked for, also in two ways", async () => {
      const source = box.directory();
      const mount = (destination: string, ...options: string[]) => ({ destination, source, options });
      const found = await box.mountinfo([
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
      const source = box.directory();
      writeFileSync(join(source, "hosts"), "127.0.0.1 here\n");
      symlinkSync("/places/foo/bar", join(box.rootfs, "jump"));
      symlinkSync("/jump/baz/hosts", join(box.rootfs, "etc/hosts"));
      symlinkSync("../places/directory", join(box.rootfs, "etc/conf"));
      const mounts = [
        { destination: "/etc/hosts", source: join(source, "hosts"), options: ["bind", "ro"] },
        { destination: "/etc/conf", source, options: ["bind", "ro"] },
        { destination: "/etc/conf2/a", type: "tmpfs", source: "t", options: ["ro"] },
      ];
      const found = await box.mountinfo(mounts);
      expect([...found.keys()].filter((place) => /^\/(etc|places)/.test(place))).toEqual([
        "/places/foo/bar/baz/hosts",
        "/places/directory",
        "/etc/conf2/a",
      ]);
      expect(readFileSync(join(box.rootfs, "places/foo/bar/baz/hosts"), "utf8")).toBe("");
    });
  });

  describe("remount", () => {
    test("changes what is mounted there already", async () => {
      const source = box.directory();
      const found = await box.mountinfo([
        { destination: "/a", source, options: ["bind", "nodev"] },
        { destination: "/a", source, options: ["bind", "remount", "ro"] },
        { destination: "/b", type: "tmpfs", source: "tmpfs", options: ["size=1m"] },
        { destination: "/b", type: "tmpfs", source: "tmpfs", options: ["remount", "size=2m", "noexec"] },
      ]);
      expect(found.get("/a")?.attributes).toEqual(["ro", "nodev", "relatime"]);
      expect(found.get("/b")?.attributes).toEqual(["rw", "noexec", "relatime"]);
      expect(found.get("/b")?.options).toContain("size=2048k");
    });

    test("makes read-only, also /dev, and writable again", async () => {
      const mounts = [
        { destination: "/dev", options: ["remount", "ro"] },
        { destination: "/b", type: "tmpfs", source: "tmpfs", options: ["ro"] },
        { destination: "/b", options: ["remount", "rw"] },
      ];
      const script = "touch /b/new; touch /dev/new 2>&1; echo lost > /dev/null && test -c /dev/null && ls /b";
      expect(await box.output(script, mounts)).toBe("touch: /dev/new: Read-only file system\nnew\n");
    });

    test("needs a mount", async () => {
      const { stderr, exitCode } = await box.run("echo started", [
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
      for (const name of ["secrets", "fixed"]) mkdirSync(join(box.rootfs, name), { recursive: true });
      for (const name of ["secret", "linked", "secrets/file"]) writeFileSync(join(box.rootfs, name), "hidden");
      rmSync(join(box.rootfs, "secret-link"), { force: true });
      symlinkSync("/linked", join(box.rootfs, "secret-link"));
      const change = { linux, spec: { root: { path: box.rootfs, readonly } } };
      const script = [
        "cat /secret /linked /secret-link /secrets/* 2>&1",
        "ls /secrets",
        "for file in /secrets/x /fixed/x; do touch $file 2>&1; done",
        "umount /secret 2>&1",
        "rm -f /secret 2>&1 || true",
      ].join("; ");
      expect(await box.output(script, [], change)).toBe(
        [
          "cat: can't open '/secrets/*': No such file or directory",
          "touch: /secrets/x: Read-only file system",
          "touch: /fixed/x: Read-only file system",
          "umount: can't unmount /secret: Operation not permitted",
          `rm: can't remove '/secret': ${readonly ? "Read-only file system" : "Device or resource busy"}`,
          "",
        ].join("\n"),
      );
      const text = await box.output("cat /proc/self/mounts", [], change);
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
    const base = box.directory();
    const long = (name: string) => join(base, name, "d".repeat(200), "d".repeat(100));
    for (const name of ["lower", "upper", "work"]) mkdirSync(long(name), { recursive: true });
    writeFileSync(join(long("lower"), "file"), "of the lower one\n");
    const options = ["lower", "upper", "work"].map((name) => `${name}dir=${long(name)}`);
    const mount = { destination: "/overlay", type: "overlay", source: "overlay", options: [...options, "nodev"] };
    const script =
      "cat /overlay/file; echo new > /overlay/new; grep ' /overlay ' /proc/mounts | cut -d' ' -f3,4 | cut -c1-20";
    expect(await box.output(script, [mount])).toBe("of the lower one\noverlay rw,nodev,rel\n");
    expect(readFileSync(join(long("upper"), "new"), "utf8")).toBe("new\n");
  });

  describe("cgroups", () => {
    test.each([true, false])(
      "are read-only, and the container's own: a namespace of theirs %p",
      async (cgroupNamespace) => {
        const { linux, mounts = [] } = defaultRuntimeSpec({ cgroupNamespace });
        expect(mounts.map(({ type }) => type)).toContain("cgroup");
        const change = { linux: linux ?? {}, spec: { root: { path: box.rootfs }, mounts } };
        const found = await box.mountinfo([], change);
        const places = [...found].filter(([place]) => place.startsWith("/sys/fs/cgroup"));
        expect(places.length).toBeGreaterThan(0);
        for (const [, { attributes }] of places) expect(attributes).toContain("ro");
        const written = await box.output(
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
        await box.output("stat -f -c %T /unified; grep -c . /unified/cgroup.procs", [mount], { linux: linux ?? {} }),
      ).toMatch(/^(cgroup2fs|UNKNOWN)\n[1-9]/);
    });
  });
});

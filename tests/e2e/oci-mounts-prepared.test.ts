import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  chmodSync,
  chownSync,
  closeSync,
  linkSync,
  openSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { AT_FDCWD, S_IFCHR, S_IFIFO } from "../../src/linux/constants.ts";
import { makeDevice } from "../../src/linux/device-number.ts";
import { defaultRuntimeSpec } from "../../src/oci/default-runtime-spec.ts";
import { isAtLeast, kernelVersion } from "../../src/linux/kernel.ts";
import { libc } from "../../src/linux/libc.ts";
import type { Mount } from "../../src/oci/runtime-spec.ts";
import { canRunBundles } from "../helpers/bundle.ts";
import { has } from "../helpers/cgroups.ts";
import { MountSandbox } from "../helpers/mounts.ts";

/** Mounts that take what is made before the launch: see `prepared-mounts.ts`. */
describe.skipIf(!canRunBundles)("oci mounts with what was made before", () => {
  let box: MountSandbox;

  beforeAll(async () => {
    box = await MountSandbox.create();
  });

  afterAll(async () => {
    await box[Symbol.asyncDispose]();
  });

  function mknod(path: string, mode: number, device: bigint): void {
    expect(libc.mknodat(AT_FDCWD, path, mode, device)).toBe(0);
  }

  describe("other owners", () => {
    const mappings = (...ranges: [containerID: number, hostID: number, size: number][]) => {
      const all = ranges.map(([containerID, hostID, size]) => ({ containerID, hostID, size }));
      return { uidMappings: all, gidMappings: all };
    };
    const owners = "stat -c '%u:%g' /mnt/*";

    test("are those of the mount's mappings, in this mount alone", async () => {
      const source = box.directory();
      for (const [name, id] of Object.entries({ a: 0, b: 101, c: 500 })) {
        writeFileSync(join(source, name), "");
        chownSync(join(source, name), id, id);
      }
      const map = mappings([0, 100_000, 10], [100, 2000, 10]);
      const mount = { destination: "/mnt", source, options: ["bind"], ...map };
      const plain = { destination: "/plain", source, options: ["bind"] };
      const script = `${owners} /plain/*; echo; touch /mnt/new 2>&1; true`;
      const printed = await box.output(script, [mount, plain]);
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
      const source = box.directory();
      chownSync(source, 7, 7);
      const mount = { destination: "/mnt", source, options: ["bind", "idmap"], ...mappings([7, 0, 1]) };
      await box.output("touch /mnt/new", [mount]);
      expect(statSync(join(source, "new"))).toMatchObject({ uid: 7, gid: 7 });
    });

    // Before Linux 6.3 a tmpfs has no mapped owners.
    test.skipIf(!isAtLeast(kernelVersion(), 6, 3))("are those below too when that is asked for", async () => {
      const rootfs = (path: string) => join(box.rootfs, path);
      const map = mappings([0, 5000, 1]);
      const mounts = (option: string): Mount[] => [
        { destination: "/tree", type: "tmpfs", source: "t", options: ["mode=755"] },
        { destination: "/tree/below", type: "tmpfs", source: "t", options: ["mode=755"] },
        { destination: "/mnt", source: rootfs("tree"), options: ["rbind", option], ...map },
      ];
      expect(await box.output("stat -c %u /mnt /mnt/below", mounts("idmap"))).toBe("5000\n0\n");
      expect(await box.output("stat -c %u /mnt /mnt/below", mounts("ridmap"))).toBe("5000\n5000\n");
    });

    test("are refused by file systems that have none", async () => {
      const mount = { destination: "/mnt", source: "/sys", options: ["bind"], ...mappings([0, 5000, 1]) };
      const { stderr, exitCode } = await box.run("echo started", [mount]);
      expect(stderr).toContain("change the owners of files at /mnt: mount_setattr: invalid argument");
      expect(stderr).toContain("the file system of its source cannot do that");
      expect(exitCode).not.toBe(0);
      expect(box.oci.gockers()).toEqual([]);
    });

    test("leave no descriptor in the container", async () => {
      const source = box.directory();
      const mount = { destination: "/mnt", source, options: ["bind"], ...mappings([0, 5000, 1]) };
      expect(await box.output("ls -l /proc/self/fd | grep -c -e user: -e /mnt || true", [mount])).toBe("0\n");
    });
  });

  describe("tmpcopyup", () => {
    const tmpfs = (destination: string, ...options: string[]): Mount => ({
      destination,
      type: "tmpfs",
      source: "tmpfs",
      options: ["tmpcopyup", ...options],
    });

    test("can take the place of the root directory", async () => {
      const script = "stat -f -c %T /; cat /etc/passwd | wc -l; echo mine > /new";
      expect(await box.output(script, [tmpfs("/")])).toBe("tmpfs\n2\n");
      expect(existsSync(join(box.rootfs, "new"))).toBe(false);
    });

    test("begins with what the image has there in another copy of it, and with nothing in an empty tmpfs", async () => {
      mkdirSync(join(box.rootfs, "run/lock"), { recursive: true });
      writeFileSync(join(box.rootfs, "run/pid"), "1\n");
      writeFileSync(join(box.rootfs, "run/lock/held"), "2\n");
      const script = "cd /run; cat pid lock/held; echo $(stat -f -c %T . lock); ls lock";
      expect(await box.output(script, [tmpfs("/run"), tmpfs("/run/lock")])).toBe("1\n2\ntmpfs tmpfs\nheld\n");
      const empty: Mount = { destination: "/run", type: "tmpfs", source: "tmpfs", options: ["mode=755"] };
      expect(await box.output("ls -R /run", [empty, tmpfs("/run/lock")])).toBe("/run:\nlock\n\n/run/lock:\n");
    });

    test("begins with what the image has there, as it is there", async () => {
      const top = join(box.rootfs, "full");
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
      expect(await box.output(script, [tmpfs("/full", "nodev")])).toBe(
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
      const source = box.directory();
      mkdirSync(join(box.rootfs, "kept"), { recursive: true });
      writeFileSync(join(box.rootfs, "kept/file"), "kept\n");
      const mounts = [tmpfs("/kept", "ro", "mode=700"), { destination: "/kept/new/in", source, options: ["bind"] }];
      const script = "stat -c %a /kept; cat /kept/file; ls /kept; touch /kept/x 2>&1 || true";
      expect(await box.output(script, mounts)).toBe("700\nkept\nfile\nnew\ntouch: /kept/x: Read-only file system\n");
    });

    test("is an empty tmpfs where the image has nothing", async () => {
      expect(await box.output("stat -c %a /missing; ls /missing", [tmpfs("/missing")])).toBe("1777\n");
    });

    test("stays below the root directory, whatever the image's links say", async () => {
      const outside = box.directory();
      writeFileSync(join(outside, "secret"), "");
      symlinkSync(outside, join(box.rootfs, "leading-out"));
      symlinkSync(`../../../../..${outside}`, join(box.rootfs, "leading-up"));
      for (const destination of ["/leading-out", "/leading-up"]) {
        expect(await box.output(`ls ${destination}/`, [tmpfs(destination)])).toBe("");
      }
    });

    test("tells what it is too small for", async () => {
      mkdirSync(join(box.rootfs, "large"));
      writeFileSync(join(box.rootfs, "large/file"), Buffer.alloc(100_000));
      const { stderr, exitCode } = await box.run("echo started", [tmpfs("/large", "size=8k")]);
      expect(stderr).toContain("mounts: tmpcopyup cannot copy what is at /large: ");
      expect(stderr).toContain("no space left on device");
      expect(exitCode).not.toBe(0);
    });

    test.skipIf(!has("memory"))("is the container's memory, and not its maker's", async () => {
      const mebibyte = 1024 * 1024;
      const content = Buffer.alloc(12 * mebibyte, "content");
      mkdirSync(join(box.rootfs, "counted/deep"), { recursive: true });
      writeFileSync(join(box.rootfs, "counted/deep/file"), content);
      linkSync(join(box.rootfs, "counted/deep/file"), join(box.rootfs, "counted/again"));
      writeFileSync(join(box.rootfs, "counted/with\nlines"), "odd\n");
      const sparse = openSync(join(box.rootfs, "counted/sparse"), "w");
      writeSync(sparse, "end", 64 * mebibyte);
      closeSync(sparse);
      const limited = (limit: number) => ({
        spec: { root: { path: box.rootfs, readonly: false }, mounts: [...usual, tmpfs("/counted")] },
        linux: { resources: { memory: { limit } } },
      });
      const usual = defaultRuntimeSpec({ cgroupNamespace: false }).mounts ?? [];
      const { stderr, exitCode } = await box.run("echo started", [], limited(8 * mebibyte));
      expect(stderr).toContain(
        "tmpcopyup cannot copy what is at /counted: the process that did it was killed by SIGKILL\n" +
          "  hint: the container's limit of memory may be too small for it",
      );
      expect(exitCode).not.toBe(0);
      await box.oci.runDetached("counted", limited(48 * mebibyte));
      const { stdout } = await box.oci.oci(["events", "--stats", "counted"]);
      const { data } = JSON.parse(stdout) as { data: { memory: { usage: { usage: number } } } };
      expect(data.memory.usage.usage).toBeGreaterThan(12 * mebibyte);
      const script =
        "cd /counted; cmp deep/file /image/deep/file; cmp again deep/file; cmp sparse /image/sparse; cat with*";
      const image = { destination: "/image", source: join(box.rootfs, "counted"), options: ["bind"] };
      expect(await box.output(script, [tmpfs("/counted"), image])).toBe("odd\n");
      await box.oci.oci(["delete", "--force", "counted"]);
    });

    test("copies what has a longer path than the kernel takes at once", async () => {
      const names = (count: number) => Array.from({ length: count }, () => "n".repeat(250)).join("/");
      const [top, lower] = ["long", "lower"].map((name) => join(box.rootfs, name)) as [string, string];
      mkdirSync(join(top, names(14)), { recursive: true });
      mkdirSync(join(lower, names(4)), { recursive: true });
      writeFileSync(join(lower, names(4), "file"), "found\n");
      renameSync(lower, join(top, names(14), "lower"));
      try {
        const script = `cd /long/${names(14)} && cat lower/${names(4)}/file`;
        expect(await box.output(script, [tmpfs("/long")])).toBe("found\n");
      } finally {
        renameSync(join(top, names(14), "lower"), lower);
      }
    });

    test("leaves no descriptor in the container", async () => {
      expect(await box.output("ls /proc/self/fd | wc -l", [tmpfs("/etc")])).toBe("4\n");
    });
  });
});

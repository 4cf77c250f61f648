import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { gockerBinary } from "../helpers/binary.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, type Runner, success } from "../helpers/runner.ts";
import { listTar } from "../helpers/tar-listing.ts";
import { makeTar } from "../helpers/tar.ts";

/** What an image with a volume may have at its place. */
const dataLayer = new Uint8Array(
  makeTar([
    { name: "data/", type: "5", mode: 0o750, uid: 405, gid: 100 },
    { name: "data/file", content: "of the image\n", mode: 0o640, uid: 405, gid: 100 },
    { name: "data/link", type: "2", link: "file" },
  ]),
);

describe.skipIf(!canRunCorpus)("the container's files", () => {
  let runner: Runner;
  let image: string;
  let withVolume: string;
  let directory: string;
  beforeAll(async () => {
    runner = await createRunner([], {
      "plain:1": { layers: [alpineLayer] },
      "bare:1": { layers: [new Uint8Array(makeTar([{ name: "program" }]))] },
      "volume:1": { layers: [alpineLayer, dataLayer], config: { Volumes: { "/data": {} } } },
    });
    image = runner.image("plain:1");
    withVolume = runner.image("volume:1");
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());
  beforeEach(() => {
    directory = join(runner.sandbox.directory, "bound");
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(join(directory, "below"), { recursive: true });
    writeFileSync(join(directory, "file"), "of the host\n");
  });

  const shell = (flags: readonly string[], script: string, of = image) =>
    runner.run([...flags, of, "sh", "-c", script]);
  const volumes = () => readdirSync(`${runner.sandbox.root}/volumes`).filter((name) => !name.startsWith("."));

  describe("bind mounts", () => {
    test("-v: both see the same, and the host sees what is made", async () => {
      const script = "cat /mnt/file; echo of the container >/mnt/below/new";
      expect(await shell(["-v", `${directory}:/mnt`], script)).toEqual(success("of the host\n"));
      expect(readFileSync(join(directory, "below/new"), "utf8")).toBe("of the container\n");
    });

    test.each([
      ["-v", (source: string) => `${source}:/mnt:ro`],
      ["--mount", (source: string) => `type=bind,source=${source},target=/mnt,readonly`],
      ["--mount", (source: string) => `type=bind,src=${source},dst=/mnt,ro=true`],
    ])("%s read-only %p", async (flag, value) => {
      const { stdout, stderr, exitCode } = await shell([flag, value(directory)], "cat /mnt/file && touch /mnt/x");
      expect(stdout).toBe("of the host\n");
      expect(stderr).toBe("touch: /mnt/x: Read-only file system\n");
      expect(exitCode).toBe(1);
      expect(existsSync(join(directory, "x"))).toBe(false);
    });

    test("read-only concerns the mounts below too", async () => {
      const script = `mount -t tmpfs none ${directory}/below && "$0" run --rm -v ${directory}:/mnt:ro ${image} touch /mnt/below/x`;
      const child = Bun.spawnSync(["unshare", "-m", "sh", "-c", script, gockerBinary()], {
        env: { PATH: process.env["PATH"] ?? "", ...runner.sandbox.environment },
      });
      expect(child.stderr.toString()).toBe("touch: /mnt/below/x: Read-only file system\n");
      expect(child.exitCode).toBe(1);
    });

    test("a single file, over one of the image's and at a new place", async () => {
      const flags = ["-v", `${directory}/file:/etc/motd`, "-v", `${directory}/file:/new/place/file:ro`];
      expect(await shell(flags, "cat /etc/motd /new/place/file; stat -c %a /new/place")).toEqual(
        success("of the host\nof the host\n755\n"),
      );
    });

    test("a relative source is below the current directory", async () => {
      const { stdout, exitCode } = await runner.run(["-v", "./below:/mnt", image, "touch", "/mnt/here"], {
        cwd: directory,
      });
      expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 0 });
      expect(readdirSync(join(directory, "below"))).toEqual(["here"]);
    });

    test("-v makes a missing source, --mount refuses it", async () => {
      expect(await shell(["-v", `${directory}/new/one:/mnt`], "touch /mnt/x")).toEqual(success(""));
      expect(statSync(join(directory, "new/one")).mode & 0o777).toBe(0o755);
      expect(await shell(["--mount", `type=bind,source=${directory}/none,target=/mnt`], "true")).toMatchObject({
        stdout: "",
        exitCode: 125,
      });
      expect(existsSync(join(directory, "none"))).toBe(false);
    });

    test("a link in the image never leads a mount out of the container", async () => {
      await using linked = await createRunner([], {
        "linked:1": {
          layers: [alpineLayer, new Uint8Array(makeTar([{ name: "way", type: "2", link: `/../../..${directory}` }]))],
        },
      });
      const flags = ["-v", `${directory}/below:/way/in`];
      expect(await linked.run([...flags, linked.image("linked:1"), "sh", "-c", `touch ${directory}/in/x`])).toEqual(
        success(""),
      );
      expect(readdirSync(directory).toSorted()).toEqual(["below", "file"]);
      expect(readdirSync(join(directory, "below"))).toEqual(["x"]);
    });

    test("a source that is a link leads where the host says", async () => {
      symlinkSync("below", join(directory, "link"));
      expect(await shell(["-v", `${directory}/link:/mnt`], "touch /mnt/by-link")).toEqual(success(""));
      expect(readdirSync(join(directory, "below"))).toEqual(["by-link"]);
    });

    test("mount points are made in the container alone, two at one place are refused", async () => {
      await shell(["-v", `${directory}:/a/b/c`], "true");
      expect(await shell([], "ls -d /a")).toMatchObject({ exitCode: 1 });
      expect(await shell(["-v", `${directory}:/a`, "--tmpfs", "/a"], "true")).toEqual({
        stdout: "",
        stderr: "gocker: duplicate mount point: /a\n",
        exitCode: 125,
      });
    });
  });

  describe("volumes", () => {
    test("by name: filled with what the image has, kept after the container", async () => {
      const look = "stat -c '%a %u %g %n' /data /data/file; readlink /data/link; cat /data/file; echo more >/data/more";
      expect(await shell(["-v", "kept:/data"], look, withVolume)).toEqual(
        success("750 405 100 /data\n640 405 100 /data/file\nfile\nof the image\n"),
      );
      expect(await shell(["--mount", "type=volume,source=kept,target=/else"], "ls /else")).toEqual(
        success("file\nlink\nmore\n"),
      );
      expect(await shell(["-v", "kept:/data:ro"], "touch /data/x")).toMatchObject({ exitCode: 1 });
      expect(volumes()).toEqual(["kept"]);
    });

    test("an empty place gives an empty volume; nocopy too", async () => {
      expect(await shell(["-v", "empty:/mnt"], "ls -A /mnt")).toEqual(success(""));
      expect(await shell(["-v", "bare:/data:nocopy"], "ls -A /data", withVolume)).toEqual(success(""));
      expect(await shell(["-v", "bare:/data"], "ls -A /data", withVolume)).toEqual(success("file\nlink\n"));
    });

    test("anonymous ones, the image's among them, go with their --rm container", async () => {
      const before = volumes();
      expect(await shell(["-v", "/anonymous"], "touch /anonymous/x /data/y; ls /data", withVolume)).toEqual(
        success("file\nlink\ny\n"),
      );
      expect(volumes()).toEqual(before);
      await runner.gocker(["run", "--name", "stays", withVolume, "touch", "/data/z"]);
      expect(volumes()).toHaveLength(before.length + 1);
      expect(await runner.gocker(["rm", "-v", "stays"])).toEqual(success("stays\n"));
      expect(volumes()).toEqual(before);
    });

    test("two containers share one", async () => {
      const writer = runner.start(["run", "--rm", "-i", "-v", "shared:/s", image, "sh", "-c", "echo x >/s/x; cat"]);
      await runner.untilRunning();
      expect(await shell(["-v", "shared:/s"], "while [ ! -s /s/x ]; do :; done; cat /s/x")).toEqual(success("x\n"));
      void writer.stdin.end();
      expect(await writer.exited).toBe(0);
    });
  });

  describe("tmpfs and read-only", () => {
    // Some kernels have inode64 as their default, and tell it.
    const options = (path: string) => `grep ' ${path} ' /proc/mounts | cut -d' ' -f3,4 | sed s/,inode64//`;

    test("--tmpfs", async () => {
      expect(await shell(["--tmpfs", "/run"], `touch /run/x; ${options("/run")}`)).toEqual(
        success("tmpfs rw,nosuid,nodev,noexec,relatime\n"),
      );
      const sized = await shell(
        ["--tmpfs", "/t:size=64k,mode=1700,exec,uid=405"],
        `${options("/t")}; stat -c '%a %u' /t`,
      );
      expect(sized).toEqual(success("tmpfs rw,nosuid,nodev,relatime,size=64k,mode=1700,uid=405\n1700 405\n"));
      const spelt = ["--mount", "type=tmpfs,target=/t,tmpfs-size=64k,tmpfs-mode=1770"];
      expect(await shell(spelt, options("/t"))).toEqual(
        success("tmpfs rw,nosuid,nodev,noexec,relatime,size=64k,mode=1770\n"),
      );
    });

    test("--read-only leaves what is mounted, and nothing else, to write to", async () => {
      const script = `for place in / /etc/hosts /root /tmp /dev/shm /mnt /t; do
          if touch $place/x 2>/dev/null || (test -f $place && touch $place 2>/dev/null); then echo "$place yes"; else echo "$place no"; fi
        done`;
      const expected = ["/ no", "/etc/hosts no", "/root no", "/tmp no", "/dev/shm yes", "/mnt yes", "/t yes", ""];
      const flags = ["--read-only", "--tmpfs", "/t", "-v", `${directory}:/mnt`];
      expect(await shell(flags, script)).toEqual(success(expected.join("\n")));
      expect(await shell(["--read-only", "-w", "/made/up"], "pwd")).toEqual(success("/made/up\n"));
    });

    test("what a container writes is its own", async () => {
      expect(await shell([], "rm -r /etc/apk /bin/ls 2>/dev/null; echo x >/etc/passwd")).toEqual(success(""));
      expect(await shell([], "ls -d /etc/apk; head -1 /etc/passwd | cut -d: -f1")).toEqual(success("/etc/apk\nroot\n"));
    });
  });

  describe("/etc", () => {
    const etc = "cat /etc/hostname; echo --; cat /etc/hosts; echo --; cat /etc/resolv.conf";
    const parts = async (flags: readonly string[]) => {
      const { stdout, stderr, exitCode } = await shell(flags, etc);
      expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
      return stdout.split("--\n");
    };

    test("with the host's network its hosts are the host's, and the container's own name", async () => {
      const [hostname = "", hosts = ""] = await parts(["-h", "box.example.org"]);
      expect(hostname).toBe("box.example.org\n");
      expect(hosts).toStartWith(readFileSync("/etc/hosts", "utf8").trimEnd());
      expect(hosts).toContain("\tbox.example.org box");
    });

    test("--add-host and --dns", async () => {
      const [, hosts = "", resolver] = await parts([
        "--network=none",
        "--add-host=db:10.1.2.3",
        "--add-host=six=[fe80::1]",
        "--dns=9.9.9.9",
        "--dns=2620:fe::fe",
      ]);
      expect(hosts).toMatch(/^127\.0\.0\.1\s+localhost$/m);
      expect(hosts).toMatch(/^10\.1\.2\.3\tdb$/m);
      expect(hosts).toMatch(/^fe80::1\tsix$/m);
      expect(resolver).toBe("nameserver 9.9.9.9\nnameserver 2620:fe::fe\n");
    });

    test("they can be written to, and the container's changes stay its own", async () => {
      expect(await shell([], "echo 10.9.9.9 mine >>/etc/hosts; grep -c mine /etc/hosts")).toEqual(success("1\n"));
      expect(await shell([], "grep -c mine /etc/hosts")).toMatchObject({ stdout: "0\n", exitCode: 1 });
    });

    test("mtab leads to the mounts in an image that has none, and is no change of the container's", async () => {
      await runner.gocker(["create", "--name", "bare", runner.image("bare:1"), "/program"]);
      const { stdout, exitCode } = await runner.gocker(["cp", "bare:/etc/mtab", "-"]);
      expect(exitCode).toBe(0);
      expect(listTar(Buffer.from(stdout, "latin1")).map(({ entry }) => entry)).toEqual([
        expect.objectContaining({ path: "mtab", type: "symlink", linkPath: "/proc/mounts" }),
      ]);
      expect(await runner.gocker(["diff", "bare"])).toEqual(success(""));
      expect(await runner.gocker(["rm", "bare"])).toEqual(success("bare\n"));
    });

    test("the host's name is not touched", async () => {
      const name = readFileSync("/proc/sys/kernel/hostname", "utf8");
      expect(await shell(["-h", "another"], "hostname; cat /proc/sys/kernel/hostname")).toEqual(
        success("another\nanother\n"),
      );
      expect(readFileSync("/proc/sys/kernel/hostname", "utf8")).toBe(name);
    });
  });

  test("nothing remains but volumes", () => {
    expect(runner.leftovers()).toEqual([]);
  });
});

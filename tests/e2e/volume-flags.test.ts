import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  rmSync,
  statSync,
  lstatSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { gockerBinary } from "../helpers/binary.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, type Runner, success } from "../helpers/runner.ts";

describe.skipIf(!canRunCorpus)("flags of mounts", () => {
  let runner: Runner;
  let image: string;
  let directory: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
    directory = join(runner.sandbox.directory, "bound");
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());
  const shell = (flags: readonly string[], script: string) => runner.run([...flags, image, "sh", "-c", script]);
  const owner = (path: string) => {
    const { uid, gid } = lstatSync(path);
    return `${uid}:${gid}`;
  };

  describe("U gives the files to the container's user", () => {
    test("of a directory, and never what links lead to", async () => {
      const outside = join(runner.sandbox.directory, "outside");
      mkdirSync(join(directory, "sub/deep"), { recursive: true });
      writeFileSync(outside, "x");
      writeFileSync(join(directory, "sub/file"), "x");
      symlinkSync(outside, join(directory, "link"));
      symlinkSync("..", join(directory, "up"));
      writeFileSync(join(directory, "setuid"), "x");
      chownSync(join(directory, "setuid"), 405, 100);
      chmodSync(join(directory, "setuid"), 0o4755);
      const flags = ["-u", "guest", "-v", `${directory}:/mnt:U`];
      expect(await shell(flags, "stat -c '%U %n' /mnt /mnt/sub/file; touch /mnt/sub/deep/new")).toEqual(
        success("guest /mnt\nguest /mnt/sub/file\n"),
      );
      for (const name of ["", "sub", "sub/deep", "sub/file", "link", "up"]) {
        expect(owner(join(directory, name))).toBe("405:100");
      }
      expect(owner(outside)).toBe("0:0");
      expect(owner(runner.sandbox.directory)).toBe("0:0");
      // What was the user's already keeps its bits, which a change of the owner would clear.
      expect(statSync(join(directory, "setuid")).mode & 0o7777).toBe(0o4755);
      rmSync(directory, { recursive: true });
    });

    test("of a volume, and of a single file", async () => {
      expect(await shell(["-u", "405:7", "-v", "given:/v:U"], "touch /v/x; stat -c %u:%g /v /v/x")).toEqual(
        success("405:7\n405:7\n"),
      );
      mkdirSync(directory);
      writeFileSync(join(directory, "file"), "x");
      linkSync(join(directory, "file"), join(directory, "other"));
      expect(await shell(["-u", "405", "-v", `${directory}/file:/f:U`], "stat -c %u /f")).toEqual(success("405\n"));
      expect(owner(directory)).toBe("0:0");
      rmSync(directory, { recursive: true });
    });

    test.each(["/", "/etc", "/usr/../var", "/tmp"])("%s is not given away", async (path) => {
      const before = owner(path);
      expect(await runner.run(["-u", "405", "-v", `${path}:/mnt:U`, image, "true"])).toMatchObject({
        stdout: "",
        stderr: expect.stringContaining("cannot be given to a container: the host needs them as they are"),
        exitCode: 125,
      });
      expect(owner(path)).toBe(before);
      expect(runner.leftovers()).toEqual([]);
    });
  });

  test("z and Z change nothing where SELinux is not in force", async () => {
    for (const word of ["z", "Z"]) {
      expect(await shell(["-v", `${directory}:/mnt:${word}`], "touch /mnt/x")).toEqual(success(""));
      expect(await shell(["-v", `labelled:/mnt:${word}`], "touch /mnt/x")).toEqual(success(""));
    }
  });

  describe("volume-subpath", () => {
    test("mounts a directory or a file of the volume", async () => {
      await shell(["-v", "parts:/v"], "mkdir -p /v/a/b; echo in >/v/a/b/file; echo out >/v/outside");
      const part = (subpath: string) => ["--mount", `src=parts,dst=/mnt,volume-subpath=${subpath}`];
      expect(await shell(part("a/b"), "ls /mnt; cat /mnt/file; echo more >/mnt/new")).toEqual(success("file\nin\n"));
      const file = ["--mount", "src=parts,dst=/new/file,volume-subpath=a/b/file"];
      expect(await shell(file, "cat /new/file")).toEqual(success("in\n"));
      expect(await shell(["-v", "parts:/v"], "ls /v/a/b")).toEqual(success("file\nnew\n"));
      expect(await shell([...part("a"), "--read-only"], "ls /mnt")).toEqual(success("b\n"));
      const sealed = ["--mount", "src=parts,dst=/mnt,volume-subpath=a,ro"];
      expect(await shell(sealed, "touch /mnt/x")).toMatchObject({ exitCode: 1 });
      expect(await shell(part("none"), "true")).toMatchObject({
        stderr: expect.stringContaining("the source of a mount does not exist"),
        exitCode: 125,
      });
      expect(runner.leftovers()).toEqual([]);
    });

    test("is kept by --volumes-from", async () => {
      await runner.gocker(["run", "--name", "part", "--mount", "src=parts,dst=/mnt,volume-subpath=a/b", image, "true"]);
      expect(await shell(["--volumes-from", "part"], "ls /mnt")).toEqual(success("file\nnew\n"));
      await runner.gocker(["rm", "part"]);
    });
  });

  test("bind-recursive: what is mounted below can be written to, or not, or does not come along", async () => {
    mkdirSync(join(directory, "below"), { recursive: true });
    const write = async (recursive: string) => {
      const mount = `type=bind,src=${directory},dst=/mnt,readonly,bind-recursive=${recursive}`;
      const look = "touch /mnt/x 2>/dev/null || echo no; touch /mnt/below/x 2>/dev/null || echo no; ls /mnt/below";
      const script = `mount -t tmpfs none ${directory}/below && touch ${directory}/below/there && "$0" run --rm --mount ${mount} ${image} sh -c '${look}'`;
      const child = Bun.spawnSync(["unshare", "-m", "sh", "-c", script, gockerBinary()], {
        env: { PATH: process.env["PATH"] ?? "", ...runner.sandbox.environment },
      });
      expect(child.stderr.toString()).toBe("");
      return child.stdout.toString();
    };
    expect(await write("writable")).toBe("no\nthere\nx\n");
    expect(await write("readonly")).toBe("no\nno\nthere\n");
    expect(await write("enabled")).toBe("no\nno\nthere\n");
    expect(await write("disabled")).toBe("no\nno\n");
  });

  test("consistency says nothing on Linux; another driver is refused", async () => {
    expect(await shell(["--mount", `type=bind,src=${directory},dst=/mnt,consistency=cached`], "ls -d /mnt")).toEqual(
      success("/mnt\n"),
    );
    expect(await shell(["--volume-driver=local", "-v", "plain:/mnt"], "true")).toEqual(success(""));
    expect(await shell(["--volume-driver=nfs", "-v", "plain:/mnt"], "true")).toMatchObject({ exitCode: 125 });
  });
});

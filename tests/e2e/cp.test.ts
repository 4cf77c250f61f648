import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, outcomeOf, type Runner, success } from "../helpers/runner.ts";
import { TemporaryDirectory } from "../helpers/temporary.ts";
import { until } from "../helpers/until.ts";

describe.skipIf(!canRunCorpus)("gocker cp", () => {
  let runner: Runner;
  let image: string;
  let host: TemporaryDirectory;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
    host = new TemporaryDirectory("cp");
  });
  afterAll(async () => {
    host?.[Symbol.dispose]();
    await runner?.[Symbol.asyncDispose]();
  });

  const misuse = (message: string) => ({ stdout: "", stderr: expect.stringContaining(message), exitCode: 125 });
  const cp = (...words: string[]) => runner.gocker(["cp", ...words], { cwd: host.path });

  /** A container that runs or has ended, made by a script. */
  async function container(state: "running" | "stopped", script: string, flags: readonly string[] = []) {
    const words = [...flags, image, "sh", "-c", script];
    const begun =
      state === "running"
        ? await runner.gocker(["run", "-d", ...words.slice(0, -1), `${script}; touch /ready; exec sleep 1000`])
        : await runner.gocker(["run", ...words]);
    expect(begun).toMatchObject({ stderr: "", exitCode: 0 });
    const all = (await runner.gocker(["ps", "-aq", "--no-trunc"])).stdout.split("\n");
    const id = all[0] as string;
    if (state === "running") {
      await until("it is ready", () => existsSync(`${runner.sandbox.root}/containers/${id}/upper/ready`));
    }
    return {
      id,
      async sh(command: string): Promise<string> {
        const { stdout } = await runner.gocker(["exec", id, "sh", "-c", command]);
        return stdout;
      },
      [Symbol.asyncDispose]: async () => void (await runner.gocker(["rm", "-f", "-v", id])),
    };
  }

  /** A directory of the host's with something of every kind in it. */
  function made(name: string): string {
    const path = `${host.path}/${name}`;
    mkdirSync(`${path}/sub`, { recursive: true });
    writeFileSync(`${path}/file`, "content\n");
    chmodSync(`${path}/file`, 0o640);
    chownSync(`${path}/file`, 1234, 5678);
    writeFileSync(`${path}/setuid`, "");
    chmodSync(`${path}/setuid`, 0o4755);
    symlinkSync("/etc/passwd", `${path}/link`);
    symlinkSync("nowhere", `${path}/dangling`);
    writeFileSync(`${path}/sub/deep`, "deep\n");
    const time = new Date("2001-02-03T04:05:06.789Z");
    utimesSync(`${path}/file`, time, time);
    return path;
  }

  describe.each(["running", "stopped"] as const)("of a container that is %s", (state) => {
    test("a file and a directory, in and out", async () => {
      await using web = await container(
        state,
        "echo hello > /greeting; ln -s greeting /link; mkdir -p /d/e; echo x > /d/e/f",
      );
      expect(await cp(`${web.id}:/greeting`, "out")).toEqual(success(""));
      expect(readFileSync(`${host.path}/out`, "utf8")).toBe("hello\n");
      expect(await cp(`${web.id}:d`, `${state}-tree`)).toEqual(success(""));
      expect(readFileSync(`${host.path}/${state}-tree/e/f`, "utf8")).toBe("x\n");
      expect(await cp(`${web.id}:/link`, `${state}-link`)).toEqual(success(""));
      expect(readlinkSync(`${host.path}/${state}-link`)).toBe("greeting");
      expect(await cp("-L", `${web.id}:/link`, `${state}-followed`)).toEqual(success(""));
      expect(readFileSync(`${host.path}/${state}-followed`, "utf8")).toBe("hello\n");

      made(`${state}-in`);
      expect(await cp(`${state}-in`, `${web.id}:/srv`)).toEqual(success(""));
      expect(await cp(`${web.id}:/srv/${state}-in`, `${state}-back`)).toEqual(success(""));
      const listing = (path: string) =>
        readdirSync(path, { recursive: true, encoding: "utf8" })
          .toSorted()
          .map((name) => {
            const stat = lstatSync(`${path}/${name}`);
            return {
              name,
              mode: (stat.mode & ~0o6000).toString(8),
              mtime: stat.mtimeMs,
              size: stat.isFile() && stat.size,
            };
          });
      expect(listing(`${host.path}/${state}-back`)).toEqual(listing(`${host.path}/${state}-in`));
      expect(lstatSync(`${host.path}/${state}-back/setuid`).mode & 0o7777).toBe(0o755);
    });

    test("as archives", async () => {
      await using web = await container(state, "mkdir -p /d/e; echo x > /d/e/f; ln /d/e/f /d/g; chown 7:8 /d/g");
      const { bytes, exitCode } = await runner.sandbox.gocker(["cp", `${web.id}:/d`, "-"]);
      expect(exitCode).toBe(0);
      writeFileSync(`${host.path}/out.tar`, bytes);
      const listed = Bun.spawnSync(["tar", "-tvf", `${host.path}/out.tar`, "--numeric-owner"]).stdout.toString();
      const lines = listed
        .trimEnd()
        .split("\n")
        .map((line) => line.replace(/\s+(\d+) \S+ \d\d:\d\d /, " $1 "))
        .toSorted();
      expect(lines).toEqual(
        ["-rw-r--r-- 7/8 2 d/e/f", "drwxr-xr-x 0/0 0 d/", "drwxr-xr-x 0/0 0 d/e/", "hrw-r--r-- 7/8 0 d/g link to d/e/f"]
          .toSorted()
          .map((line) => line),
      );
      const child = runner.start(["cp", "-", `${web.id}:/media`]);
      void child.stdin.write(bytes);
      expect(await outcomeOf(child)).toEqual(success(""));
      const again = await runner.sandbox.gocker(["cp", `${web.id}:/media/d`, "-"]);
      expect(Buffer.compare(again.bytes, bytes)).toBe(0);
    });

    test("volumes are seen, and those that are read-only are not written to", async () => {
      mkdirSync(`${host.path}/bound-${state}`);
      const flags = ["-v", `vol-${state}:/vol`, "-v", `${host.path}/bound-${state}:/ro:ro`];
      await using web = await container(state, "echo inside > /vol/file", flags);
      expect(await cp(`${web.id}:/vol/file`, "from-volume")).toEqual(success(""));
      expect(readFileSync(`${host.path}/from-volume`, "utf8")).toBe("inside\n");
      made(`into-${state}`);
      expect(await cp(`into-${state}/file`, `${web.id}:/vol/new`)).toEqual(success(""));
      expect(readFileSync(`${runner.sandbox.root}/volumes/vol-${state}/_data/new`, "utf8")).toBe("content\n");
      expect(await cp(`into-${state}/file`, `${web.id}:/ro`)).toEqual(
        misuse(`cannot write to ${web.id}:/ro: what the container has there is read-only`),
      );
      expect(readdirSync(`${host.path}/bound-${state}`)).toEqual([]);
    });

    test("a volume that has options is mounted", async () => {
      const [name, device] = [`opts-${state}`, `${host.path}/device-${state}`];
      mkdirSync(device);
      const options = ["--opt", "type=none", "--opt", "o=bind", "--opt", `device=${device}`];
      expect((await runner.gocker(["volume", "create", ...options, name])).exitCode).toBe(0);
      await using web = await container(state, "echo inside > /vol/file", ["-v", `${name}:/vol`]);
      made(`option-${state}`);
      expect(await cp(`option-${state}/file`, `${web.id}:/vol`)).toEqual(success(""));
      expect(await cp(`${web.id}:/vol/.`, `back-${state}`)).toEqual(success(""));
      expect(readFileSync(`${device}/file`, "utf8")).toBe("content\n");
      expect(readdirSync(`${host.path}/back-${state}`)).toEqual(["file"]);
      if (state === "stopped") expect(runner.sandbox.mounts()).toEqual([]);
    });

    test("/etc/hosts, which is mounted, gets new content", async () => {
      await using web = await container(state, "true");
      writeFileSync(`${host.path}/hosts`, "127.0.0.1 me\n");
      expect(await cp("hosts", `${web.id}:/etc/hosts`)).toEqual(success(""));
      expect(await cp(`${web.id}:/etc/hosts`, "hosts-back")).toEqual(success(""));
      expect(readFileSync(`${host.path}/hosts-back`, "utf8")).toBe("127.0.0.1 me\n");
      const child = runner.start(["cp", "-", `${web.id}:/etc`]);
      void child.stdin.write(Bun.spawnSync(["tar", "cC", host.path, "hosts"]).stdout);
      expect(await outcomeOf(child)).toEqual(success(""));
      // It is the container's own, which was mounted there and still is.
      const own = `${runner.sandbox.root}/containers/${web.id}/hosts`;
      expect(readFileSync(own, "utf8")).toBe("127.0.0.1 me\n");
      expect((await runner.gocker(["diff", web.id])).stdout).not.toContain("hosts");
    });
  });

  test("a stopped container is as it was, and starts", async () => {
    await using web = await container("stopped", "true");
    made("kept");
    expect(await cp("kept/.", `${web.id}:/srv`)).toEqual(success(""));
    expect((await runner.gocker(["diff", web.id])).stdout).toBe(
      "C /srv\nA /srv/dangling\nA /srv/file\nA /srv/link\nA /srv/setuid\nA /srv/sub\nA /srv/sub/deep\n",
    );
    expect(await runner.gocker(["start", "-a", web.id])).toEqual(success(""));
    expect(runner.sandbox.mounts()).toEqual([]);
  });

  test("one that was only made gets its files before it starts, and one that is read-only gets none", async () => {
    writeFileSync(`${host.path}/answer`, "42\n");
    const create = (...flags: string[]) => runner.gocker(["create", ...flags, image, "cat", "/srv/answer"]);
    const id = (await create("--rm")).stdout.trim();
    expect(await cp("answer", `${id}:/srv`)).toEqual(success(""));
    expect(await runner.gocker(["start", "-a", id])).toEqual(success("42\n"));
    const sealed = (await create("--read-only")).stdout.trim();
    expect(await cp("answer", `${sealed}:/srv`)).toEqual(
      misuse(`cannot write to ${sealed}:/srv: what the container has there is read-only`),
    );
    expect(await cp(`${sealed}:/etc/alpine-release`, "release")).toEqual(success(""));
    expect((await runner.gocker(["rm", sealed])).exitCode).toBe(0);
  });

  test("owners: root's without -a, the source's with it", async () => {
    await using web = await container("running", "touch /theirs; chown 7:8 /theirs; chmod 4711 /theirs");
    made("owned");
    await cp("owned", `${web.id}:/plain`);
    await cp("-a", "owned", `${web.id}:/kept`);
    expect(await web.sh("stat -c '%u:%g %a' /plain/file /kept/file /kept/setuid")).toBe(
      "0:0 640\n1234:5678 640\n0:0 4755\n",
    );
    await cp(`${web.id}:/theirs`, "plain");
    await cp("-a", `${web.id}:/theirs`, "kept-owner");
    const owner = (name: string) => {
      const { uid, gid, mode } = lstatSync(`${host.path}/${name}`);
      return `${uid}:${gid} ${(mode & 0o7777).toString(8)}`;
    };
    expect([owner("plain"), owner("kept-owner")]).toEqual(["0:0 711", "7:8 4711"]);
  });

  test("devices come out only with -a, sockets never in an archive", async () => {
    mkdirSync(`${host.path}/special`);
    using _listener = Bun.listen({ unix: `${host.path}/special/socket`, socket: { data() {} } });
    const flags = ["-v", `${host.path}/special:/d`];
    await using web = await container("running", "mknod /d/null c 1 3; mkfifo /d/fifo", flags);
    const outcome = await cp(`${web.id}:/d`, "devices");
    expect(outcome).toEqual({ stdout: "", stderr: expect.stringContaining("left out: the device null"), exitCode: 0 });
    expect(readdirSync(`${host.path}/devices`).toSorted()).toEqual(["fifo", "socket"]);
    const { bytes, stderr } = await runner.sandbox.gocker(["cp", `${web.id}:/d`, "-"]);
    expect(stderr).toContain("left out: the socket d/socket");
    writeFileSync(`${host.path}/devices.tar`, bytes);
    expect(Bun.spawnSync(["tar", "-tf", `${host.path}/devices.tar`]).stdout.toString()).not.toContain("socket");
  });

  test("archives on standard input: packed ones, those without directories, and broken ones", async () => {
    await using web = await container("running", "mkdir -p /d/old; chmod 1777 /d; ln -s d /link");
    made("packed");
    const tar = (...words: string[]) =>
      Bun.spawnSync(["tar", "c", ...words, "-C", host.path, "packed/sub/deep"]).stdout;
    const unpack = async (bytes: Uint8Array, path = "/d") => {
      const child = runner.start(["cp", "-", `${web.id}:${path}`]);
      void child.stdin.write(bytes);
      return await outcomeOf(child);
    };
    for (const packing of ["--gzip", "--zstd", "--no-auto-compress"]) {
      await web.sh("rm -rf /d/packed");
      expect(await unpack(tar(packing))).toEqual(success(""));
      expect(await web.sh("cat /d/packed/sub/deep; stat -c %a /d")).toBe("deep\n1777\n");
    }
    expect(await unpack(tar(), "/link/old")).toEqual(success(""));
    expect(await web.sh("cat /d/old/packed/sub/deep")).toBe("deep\n");
    expect(await unpack(tar(), "/none")).toEqual(misuse("there is no directory"));
    expect(await unpack(tar(), "/etc/passwd")).toEqual(misuse("there is no directory"));
    expect(await unpack(tar().subarray(0, 700))).toEqual(misuse("it ends inside a member"));
    expect(await unpack(Buffer.from("no archive"))).toEqual(misuse("it ends inside a member"));
    expect(await unpack(new Uint8Array(0))).toEqual(success(""));
  });

  test("what cannot be is told", async () => {
    await using web = await container("running", "mkdir /dir; echo x > /file");
    made("there");
    for (const [from, to, message] of [
      [`${web.id}:/none`, "x", "there is nothing at"],
      ["none", `${web.id}:/x`, "there is nothing at"],
      ["there/file", `${web.id}:/none/`, "there is no directory"],
      ["there/file", `${web.id}:/none/x`, "there is no directory in which"],
      ["there", `${web.id}:/file`, "is no directory"],
      ["there/file", `${web.id}:/file/`, "is no directory"],
      ["there/file/", `${web.id}:/dir`, "there is nothing at"],
      [`${web.id}:/file`, "/dev/stdout", "/dev/stdout is neither a directory nor a regular file"],
      [`${web.id}:/dir`, "/dev/null", "/dev/null is neither a directory nor a regular file"],
      ["a", "b", "neither"],
      [`${web.id}:/a`, `${web.id}:/b`, "not from one to another"],
      ["there/file", "none:/x", "no such container: none"],
    ] as const) {
      expect(await cp(from, to)).toEqual(misuse(message));
    }
    expect(existsSync(`${host.path}/x`)).toBe(false);
  });
});

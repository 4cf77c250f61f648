import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { AttackGround, type Call, Canary, callResults, callWords, canAttack } from "../helpers/attack.ts";

// What other users of the host could take from gocker's places, and what stays of it for containers with more rights.

let ground: AttackGround;
beforeAll(async () => {
  if (canAttack) ground = await AttackGround.create();
});
afterAll(() => ground?.[Symbol.asyncDispose]());

const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

describe.skipIf(!canAttack)("other users of the host", () => {
  test("reach nothing of an image, a container or a volume, even in a store that they may enter", async () => {
    const { directory, root, state } = ground.sandbox;
    // What an administrator makes beforehand, or an older umask made.
    for (const path of [directory, root, state]) chmodSync(path, 0o755);
    await ground.load("setuid", {
      layers: [
        [
          { name: "shell", mode: 0o4755, content: readFileSync("/bin/busybox") },
          { name: "data/", mode: 0o777 },
          { name: "data/shell", mode: 0o4755, content: "x" },
        ],
      ],
      config: { Volumes: { "/data": {} } },
    });
    const script =
      "cp -p /shell /data/copy; chmod 4755 /data/copy; cp /shell /kept; chmod 6755 /kept; chmod 777 / /data";
    const flags = ["--name", "holder", "--network", "none", "-v", "named:/data"];
    expect((await ground.gocker(["run", ...flags, "setuid", "sh", "-c", script])).exitCode).toBe(0);
    expect((await ground.gocker(["run", "--name", "anonymous", "--network", "none", "setuid", "true"])).exitCode).toBe(
      0,
    );

    const find = Bun.spawnSync([...asNobody, "find", root, state, "-mindepth", "2", "-print"]);
    expect(find.stdout.toString()).toBe("");
    // Known paths are no way in either.
    const layers = readdirSync(join(root, "layers"));
    const volumes = readdirSync(join(root, "volumes"));
    const holder = readdirSync(join(root, "containers")).find((name) => /[0-9a-f]{64}/.test(name)) ?? "";
    const paths = [
      ...layers.map((layer) => join(root, "layers", layer, "shell")),
      ...volumes.map((volume) => join(root, "volumes", volume, "_data/copy")),
      join(root, "containers", holder, "upper/kept"),
      join(root, "containers", holder, "config.json"),
      join(root, "images/index.json"),
    ];
    expect(paths.filter((path) => existsSync(path)).length).toBeGreaterThanOrEqual(4);
    const readable = paths.filter((path) => Bun.spawnSync([...asNobody, "test", "-e", path]).exitCode === 0);
    expect(readable).toEqual([]);
    for (const name of ["holder", "anonymous"]) await ground.gocker(["rm", "-v", name]);
  });

  test("find gocker's directories closed when gocker makes them, whatever the umask", async () => {
    const root = join(ground.sandbox.directory, "fresh/root");
    const state = join(ground.sandbox.directory, "fresh/state");
    const { gockerBinary } = await import("../helpers/binary.ts");
    const child = Bun.spawn(["sh", "-c", 'umask 0; exec "$0" images', gockerBinary()], {
      env: { GOCKER_ROOT: root, GOCKER_STATE: state, GOCKER_NETWORK: "host" },
      stdout: "ignore",
      stderr: "pipe",
    });
    expect(await child.exited).toBe(0);
    for (const path of [root, state]) if (existsSync(path)) expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(existsSync(root)).toBe(true);
  });
});

describe.skipIf(!canAttack)("bind mounts", () => {
  test("of a link give what it leads to on the host, when the user says so, and not through the container's links", async () => {
    const { directory } = ground.sandbox;
    const given = join(directory, "given");
    mkdirSync(given);
    const canary = new Canary(directory, "beside");
    writeFileSync(join(given, "file"), "given");
    symlinkSync(given, join(directory, "link"));
    symlinkSync("../beside", join(given, "climb"));
    symlinkSync(canary.path, join(given, "absolute"));
    const script = "cat /mnt/file; cat /mnt/climb /mnt/absolute /mnt/../beside; echo x > /mnt/climb; :";
    const { stdout } = await ground.run(["-v", `${join(directory, "link")}:/mnt`, "attack", "sh", "-c", script]);
    expect(stdout).toBe("given");
    expect(canary.isUntouched).toBe(true);
  });

  test("that are read-only stay so for what is mounted below, and cannot be made writable", async () => {
    const { directory } = ground.sandbox;
    const given = join(directory, "read-only");
    mkdirSync(given);
    const canary = new Canary(given, "file");
    const results = await ground.calls(
      [
        ["openat", -100, "/mnt/file", 1],
        ["mount", "none", "/mnt", "none", 0x20 | 0x1000, 0],
        ["unlinkat", -100, "/mnt/file", 0],
        ["fchmodat", -100, "/mnt/file", 0o777],
        ["openat", -100, "/mnt/file", 0],
        ["fchmod", { resultOf: 4 }, 0o777],
        ["openat", -100, "/proc/self/fd/3", 1],
      ],
      ["-v", `${given}:/mnt:ro`],
    );
    expect(results).toEqual(["EROFS", "EPERM", "EROFS", "EROFS", "3", "EROFS", "EROFS"]);
    expect(canary.isUntouched).toBe(true);
    expect(statSync(canary.path).mode & 0o777).toBe(0o600);
  });

  test("show nothing that is mounted in the container on the host, and the other way round unless asked", async () => {
    const given = join(ground.sandbox.directory, "propagation");
    mkdirSync(given);
    const { exitCode } = await ground.run([
      "--cap-add",
      "SYS_ADMIN",
      "-v",
      `${given}:/mnt`,
      "attack",
      "sh",
      "-c",
      "mkdir /mnt/sub && mount -t tmpfs none /mnt/sub && touch /mnt/sub/inside",
    ]);
    expect(exitCode).toBe(0);
    expect(readdirSync(join(given, "sub"))).toEqual([]);
    expect(ground.sandbox.mounts()).toEqual([]);
  });
});

describe.skipIf(!canAttack)("--privileged", () => {
  test("opens devices, settings and calls, and still keeps to namespaces of its own", async () => {
    const calls: Call[] = [
      ["openat", -100, "/dev/kmsg", 0],
      ["mount", "none", "/tmp", "tmpfs", 0, 0],
      ["openat", -100, "/proc/sys/kernel/core_pattern", 1],
      ["keyctl", 0, -3 /* the session's keyring */],
    ];
    const { stdout } = await ground.run(["--privileged", "attack", ...callWords(calls)]);
    const [kmsg, mount, setting, key] = callResults(stdout);
    expect([kmsg, mount, setting].map((result) => Number(result) >= 0)).toEqual([existsSync("/dev/kmsg"), true, true]);
    expect(key).toMatch(/^\d+$/);
    const pids = await ground.shell("ls -d /proc/[0-9]* | wc -l; grep -c . /proc/mounts >/dev/null; hostname", [
      "--privileged",
    ]);
    expect(pids).toMatch(/^[1-4]\n[0-9a-f]{12}\n$/);
    expect(ground.sandbox.mounts()).toEqual([]);
  });

  test("does not give the host's terminals or its null device", async () => {
    const host = statSync("/dev/null");
    const fd = await ground.shell("stat -Lc %d:%i /proc/self/fd/0 /dev/null; ls /dev/pts", ["--privileged"]);
    const [input, own, ...terminals] = fd.trimEnd().split("\n");
    expect(input).toBe(own as string);
    expect(input).not.toBe(`${host.dev}:${host.ino}`);
    expect(terminals).toEqual(["ptmx"]);
  });
});

describe.skipIf(!canAttack)("files that the user names", () => {
  test("an --env-file that is a link is read, and what is in it is not told in errors", async () => {
    const path = join(ground.sandbox.directory, "environment");
    const link = join(ground.sandbox.directory, "environment-link");
    writeFileSync(path, "TOKEN=hunter2\nbad key=hunter3\n");
    symlinkSync(path, link);
    const { stderr, exitCode } = await ground.gocker(["--debug", "run", "--rm", "--env-file", link, "attack", "env"]);
    expect(exitCode).toBe(125);
    expect(stderr).not.toMatch(/hunter[23]/);
  });
});

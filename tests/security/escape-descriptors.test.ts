import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openSync, closeSync, lstatSync, mkdirSync, statSync, writeFileSync } from "node:fs";

import { AttackGround, Canary, canAttack } from "../helpers/attack.ts";
import { gockerBinary } from "../helpers/binary.ts";

// CVE-2024-21626: a descriptor of the host that the container inherited, and a working directory outside of the root.
// CVE-2016-9962: descriptors of the runtime that other processes of the container could take.

let ground: AttackGround;
beforeAll(async () => {
  if (canAttack) ground = await AttackGround.create();
});
afterAll(() => ground?.[Symbol.asyncDispose]());

/** Every way to run a container that sets other descriptors up. */
const ways: Record<string, string[]> = {
  plain: [],
  "--init": ["--init"],
  "-i": ["-i"],
  "-t": ["-t"],
  "-t --init": ["-t", "--init"],
  "as another user": ["-u", "65534:65534"],
  privileged: ["--privileged"],
  "with mounts": ["-v", "data:/data", "--tmpfs", "/scratch", "--read-only"],
};

describe.skipIf(!canAttack)("descriptors", () => {
  for (const [way, flags] of Object.entries(ways)) {
    test(`of gocker are not the container's: ${way}`, async () => {
      // The directory that the shell lists is closed by the time that its name is looked at.
      const script = "for fd in /proc/1/fd/* /proc/$$/fd/*; do readlink $fd >/dev/null && echo ${fd##*/}; done; :";
      const { stdout, exitCode } = await ground.run([...flags, "attack", "sh", "-c", script]);
      expect(exitCode).toBe(0);
      const numbers = stdout.trim().split(/\s+/).map(Number);
      expect(new Set(numbers)).toEqual(new Set([0, 1, 2]));
    });
  }

  test("that the caller leaves open do not reach the container", async () => {
    const canary = new Canary(ground.sandbox.directory);
    // By a shell: descriptors 3 to 9 without close-on-exec, one of them a directory.
    const child = Bun.spawn(
      [
        "/bin/busybox",
        "sh",
        "-c",
        'exec 3</ 4<"$1" 5<>"$1"; shift; exec "$@"',
        "sh",
        canary.path,
        gockerBinary(),

        "run",
        "--rm",
        "--network",
        "none",
        "attack",
        "sh",
        "-c",
        "ls /proc/self/fd /proc/1/fd; ls /proc/1/fd/3/ 2>&1",
      ],
      { env: { ...ground.sandbox.environment }, stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    );
    const [stdout] = await Promise.all([child.stdout.text(), child.exited]);
    expect(stdout).not.toContain(canary.secret);
    // ls itself has the directory that it lists open.
    expect(stdout).toMatch(
      /^\/proc\/1\/fd:\n0\n1\n2\n\n\/proc\/self\/fd:\n0\n1\n2\n3\nls: \/proc\/1\/fd\/3\/: No such file/,
    );
    expect(canary.isUntouched).toBe(true);
  });

  test("of the program show nothing of the host's tree", async () => {
    const { stdout } = await ground.run([
      "attack",
      "sh",
      "-c",
      "readlink /proc/1/cwd; readlink /proc/1/root; ls -d /proc/self/cwd/../../../../bin",
    ]);
    expect(stdout).toBe("/\n/\n/proc/self/cwd/../../../../bin\n");
  });
});

describe.skipIf(!canAttack)("the null device as a standard descriptor", () => {
  test("is the container's own: its owner may change its mode", async () => {
    const host = lstatSync("/dev/null");
    const [fd0, null0, changed] = (
      await ground.shell("stat -Lc %d:%i /proc/self/fd/0 /dev/null; chmod 600 /proc/self/fd/0; stat -c %a /dev/null")
    )
      .trimEnd()
      .split("\n");
    expect(fd0).toBe(null0 as string);
    expect(fd0).not.toBe(`${host.dev}:${host.ino}`);
    expect(changed).toBe("600");
    expect(statSync("/dev/null").mode).toBe(host.mode);
  });

  test("is the container's own when the caller gives it, for input and outputs", async () => {
    const report = `${ground.sandbox.directory}/report`;
    mkdirSync(report);
    const null0 = openSync("/dev/null", "r+");
    const child = Bun.spawn(
      [
        gockerBinary(),
        "run",
        "-i",
        "--rm",
        "--network",
        "none",
        "-v",
        `${report}:/report`,
        "attack",
        "sh",
        "-c",
        'text=$(stat -Lc %d:%i /dev/null /proc/$$/fd/0 /proc/1/fd/1 /proc/1/fd/2); echo "$text" > /report/text',
      ],
      { env: { ...ground.sandbox.environment }, stdin: null0, stdout: null0, stderr: null0 },
    );
    await child.exited;
    closeSync(null0);
    const numbers = (await Bun.file(`${report}/text`).text()).trimEnd().split("\n");
    expect(numbers).toHaveLength(4);
    expect(new Set(numbers).size).toBe(1);
  });
});

describe.skipIf(!canAttack)("the working directory", () => {
  const places = [
    ..."/proc/self/fd/3 /proc/self/fd/7 /proc/self/fd/8 /proc/1/fd/7 /proc/thread-self/fd/7 /dev/fd/7".split(" "),
    ..."/proc/self/cwd /proc/self/root /proc/1/root/etc /proc/1/task/1/cwd/etc /dev/stdin".split(" "),
  ];
  for (const place of places) {
    test(`cannot be ${place}`, async () => {
      await ground.load("by-descriptor", { config: { WorkingDir: place } });
      const outcomes = [
        await ground.run(["by-descriptor", "ls", "-a"]),
        await ground.run(["-w", place, "attack", "ls", "-a"]),
      ];
      for (const { stdout, stderr, exitCode } of outcomes) {
        expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
        expect(stderr).toContain(place.split("/")[1] as string);
      }
    });
  }

  test("cannot be reached through links of the image either", async () => {
    await ground.load("link-to-descriptor", {
      layers: [[{ name: "work", type: "2", link: "/proc/self/fd/7" }]],
      config: { WorkingDir: "/work" },
    });
    const { stdout, exitCode } = await ground.run(["link-to-descriptor", "pwd"]);
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
  });

  for (const [wanted, real] of [
    ["../../../../../../tmp", "/tmp"],
    ["/../../..", "/"],
    ["relative/./x/..", "/relative"],
    ["/a//b/", "/a/b"],
    ["/proc/self/fd/7/../../..", "/proc"],
  ] as const) {
    test(`${wanted} of an image is ${real}`, async () => {
      await ground.load("climbing", { config: { WorkingDir: wanted } });
      expect(await ground.shell("pwd -P", [], "climbing")).toBe(`${real}\n`);
    });
  }

  test("is made inside the root where the image's links lead out of it", async () => {
    const outside = `${ground.sandbox.directory}/outside`;
    mkdirSync(outside);
    await ground.load("climbing-link", {
      layers: [[{ name: "up", type: "2", link: `../../../../../../../../${outside}` }]],
      config: { WorkingDir: "/up/made" },
    });
    expect(await ground.shell("pwd -P", [], "climbing-link")).toBe(`${outside}/made\n`);
    expect(await Array.fromAsync(new Bun.Glob("*").scan({ cwd: outside, onlyFiles: false }))).toEqual([]);
  });
});

describe.skipIf(!canAttack)("files of the host given as input and output", () => {
  test("a directory as standard input is refused: it would lead out of the root", async () => {
    const outside = `${ground.sandbox.directory}/given`;
    mkdirSync(outside);
    writeFileSync(`${outside}/secret`, "secret of the host");
    const fd = openSync(outside, "r");
    const child = Bun.spawn(
      [
        gockerBinary(),
        "run",
        "-i",
        "--rm",
        "--network",
        "none",
        "attack",
        "sh",
        "-c",
        "cat /proc/self/fd/0/secret /proc/self/fd/0/../*/secret",
      ],
      { env: { ...ground.sandbox.environment }, stdin: fd, stdout: "pipe", stderr: "pipe" },
    );
    const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    closeSync(fd);
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
    expect(stderr).toContain("directory");
  });
});

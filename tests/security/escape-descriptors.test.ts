import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, lstatSync, mkdirSync, openSync, readFileSync, readSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

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

describe.skipIf(!canAttack)("what the caller has as input and output", () => {
  /** `gocker run -i` of a script with these standard descriptors. */
  async function runWith(script: string, stdin: number, stdout: number) {
    const words = ["run", "-i", "--rm", "--network", "none", "attack", "sh", "-c", script];
    const child = Bun.spawn([gockerBinary(), ...words], {
      env: { ...ground.sandbox.environment },
      stdin,
      stdout,
      stderr: "pipe",
    });
    const [stderr, exitCode] = await Promise.all([child.stderr.text(), child.exited]);
    return { stderr, exitCode };
  }
  const place = (name: string) => join(ground.sandbox.directory, name);

  test("a directory as standard input is refused: it would lead out of the root", async () => {
    const outside = place("given");
    mkdirSync(outside);
    writeFileSync(join(outside, "secret"), "secret of the host");
    using files = new Files();
    const script = "cat /proc/self/fd/0/secret /proc/self/fd/0/../*/secret";
    const { stderr, exitCode } = await runWith(script, files.open(outside, "r"), files.open(place("listing"), "w"));
    expect(exitCode).toBe(125);
    expect(stderr).toContain("stdin) is a directory");
    expect(readFileSync(place("listing"), "utf8")).toBe("");
  });

  test("a file that is given to be read cannot be written, cut or given away", async () => {
    const canary = new Canary(ground.sandbox.directory, "input");
    using files = new Files();
    const script =
      "for f in /proc/self/fd/0 /dev/stdin /proc/1/fd/0; do (echo evil > $f; echo evil >> $f; : > $f; chmod 777 $f;" +
      " chown 7:7 $f; truncate -s 0 $f) 2>/dev/null; done; cat";
    await runWith(script, files.open(canary.path, "r"), files.open(place("seen"), "w"));
    expect(canary.isUntouched).toBe(true);
    const { mode, uid } = statSync(canary.path);
    expect([mode & 0o7777, uid]).toEqual([0o600, 0]);
    expect(readFileSync(place("seen"), "utf8")).toContain(canary.secret);
  });

  test("a file that is given to be written cannot be cut, given away, or made a set-user-ID program", async () => {
    writeFileSync(place("log"), "earlier\n", { mode: 0o600 });
    using files = new Files();
    const script =
      "readlink /proc/self/fd/1 >&2; for f in /proc/self/fd/1 /dev/stdout; do : > $f; truncate -s 0 $f; chmod 4777 $f;" +
      " chown 7:7 $f; done 2>/dev/null; echo later";
    const { stderr } = await runWith(script, files.open("/dev/null", "r"), files.open(place("log"), "a"));
    expect(readFileSync(place("log"), "utf8")).toBe("earlier\nlater\n");
    const { mode, uid } = statSync(place("log"));
    expect([mode & 0o7777, uid]).toEqual([0o600, 0]);
    expect(stderr).toMatch(/^pipe:\[\d+\]\n$/);
  });

  test("a FIFO of the host keeps its mode and its name", async () => {
    Bun.spawnSync(["mkfifo", "-m", "600", place("fifo")]);
    using files = new Files();
    const both = files.open(place("fifo"), "r+");
    await runWith("chmod 777 /proc/self/fd/1; ls -l /proc/self/fd/1", files.open("/dev/null", "r"), both);
    expect(statSync(place("fifo")).mode & 0o777).toBe(0o600);
    const buffer = Buffer.alloc(500);
    expect(buffer.toString("utf8", 0, readSync(both, buffer))).toMatch(/ -> pipe:\[\d+\]$/m);
  });

  test("a terminal keeps its mode, and the container has none", async () => {
    let text = "";
    const script = 'tty=$(tty); "$0" run -i --rm --network none attack sh -c "$1"; stat -c "mode %a owner %u" $tty';
    const inside =
      "for fd in 0 1 2; do test -t $fd && echo is a terminal; chmod 777 /proc/self/fd/$fd; chown 7 /proc/self/fd/$fd; done; :";
    const child = Bun.spawn(["sh", "-c", script, gockerBinary(), inside], {
      env: { PATH: "/usr/bin:/bin", ...ground.sandbox.environment },
      terminal: { cols: 200, rows: 24, data: (_terminal, data) => void (text += Buffer.from(data).toString()) },
    });
    expect(await child.exited).toBe(0);
    child.terminal?.close();
    expect(text).toMatch(/mode [0-7]*[0-6][0-6] owner 0/);
    expect(text).not.toMatch(/mode 777|owner 7|^is a terminal/m);
  });

  test("comes and goes whole, in order, from where the caller is", async () => {
    const bytes = crypto.getRandomValues(new Uint8Array(65_536));
    const large = Buffer.concat(Array.from({ length: 400 }, () => bytes));
    writeFileSync(place("large"), large);
    using files = new Files();
    const input = files.open(place("large"), "r");
    readSync(input, Buffer.alloc(10));
    const { stderr, exitCode } = await runWith("cat", input, files.open(place("copy"), "w"));
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    expect(readFileSync(place("copy")).equals(large.subarray(10))).toBe(true);

    const both = files.open(place("both"), "w");
    const lines = "for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done";
    const child = Bun.spawn([gockerBinary(), "run", "--rm", "--network", "none", "attack", "sh", "-c", lines], {
      env: { ...ground.sandbox.environment },
      stdin: "ignore",
      stdout: both,
      stderr: both,
    });
    expect(await child.exited).toBe(0);
    const expected = [1, 2, 3, 4, 5].map((number) => `out ${number}\nerr ${number}\n`).join("");
    expect(readFileSync(place("both"), "utf8")).toBe(expected);
  });

  test("ends the container's writing when nothing more fits, and its reading when it has ended", async () => {
    using files = new Files();
    const full = await runWith(
      "yes 2>/dev/null; echo ended >&2",
      files.open("/dev/null", "r"),
      files.open("/dev/full", "w"),
    );
    expect(full.exitCode).toBe(125);
    expect(full.stderr).toContain("ended");
    expect(full.stderr).toContain("no space left on device");
    // An endless input that the container does not want.
    const ended = await runWith("head -c 5 | wc -c", files.open("/dev/zero", "r"), files.open(place("count"), "w"));
    expect(ended).toEqual({ stderr: "", exitCode: 0 });
    expect(readFileSync(place("count"), "utf8")).toBe("5\n");
  });
});

/** Descriptors that are closed together. */
class Files implements Disposable {
  readonly #descriptors: number[] = [];

  open(path: string, flags: string): number {
    const descriptor = openSync(path, flags);
    this.#descriptors.push(descriptor);
    return descriptor;
  }

  [Symbol.dispose](): void {
    for (const descriptor of this.#descriptors) closeSync(descriptor);
  }
}

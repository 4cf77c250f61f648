import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { AttackGround, canAttack } from "../helpers/attack.ts";
import { gockerBinary } from "../helpers/binary.ts";

// What a container has written into a volume, and what an image has at a volume's place, is used by gocker as root: to
// find a path within the volume, to give its files to a user, to fill it. Links in it lead nowhere else, also when they
// become links while gocker looks.

describe.skipIf(!canAttack)("links in a volume", () => {
  let ground: AttackGround;
  let outside: string;
  beforeAll(async () => {
    ground = await AttackGround.create();
    outside = join(ground.sandbox.directory, "outside");
    mkdirSync(join(outside, "sub"), { recursive: true });
    writeFileSync(join(outside, "secret"), "of the host\n");
    writeFileSync(join(outside, "sub/secret"), "of the host\n");
  });
  afterAll(() => ground?.[Symbol.asyncDispose]());

  const data = (volume: string) => join(ground.sandbox.root, "volumes", volume, "_data");
  const hostsOwn = () => {
    expect(readdirSync(outside).toSorted()).toEqual(["secret", "sub"]);
    for (const name of ["", "secret", "sub", "sub/secret"]) expect(lstatSync(join(outside, name)).uid).toBe(0);
  };

  /** A container that exchanges `/v/place`, a directory, and `/v/trap`, a link, until it is disposed of. */
  async function swapping(volume: string, target: string): Promise<AsyncDisposable> {
    await ground.shell(`mkdir -p /v/place/sub; ln -s ${target} /v/trap`, ["-v", `${volume}:/v`]);
    const words = ["run", "--rm", "--init", "--network", "none", "-v", `${volume}:/v`, "attack"];
    const child = Bun.spawn([gockerBinary(), ...words, "/bin/system-calls", "swap", "/v/place", "/v/trap"], {
      env: { ...ground.sandbox.environment },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    const kinds = new Set<boolean>();
    for (const deadline = performance.now() + 10_000; kinds.size < 2; await Bun.sleep(0)) {
      kinds.add(lstatSync(join(data(volume), "place")).isSymbolicLink());
      if (performance.now() > deadline) throw new Error("nothing is exchanged");
    }
    return {
      async [Symbol.asyncDispose]() {
        child.kill("SIGTERM");
        await child.exited;
      },
    };
  }

  test.each([
    ["a directory of the host", () => outside],
    ["a climbing path", () => `../../../../../../../../..${outside}`],
    ["the root of process 1", () => "/proc/1/root"],
    ["an open directory of gocker's", () => "/proc/self/cwd"],
  ])("volume-subpath through a link to %s stays in the volume", async (_what, of) => {
    const volume = `static-${crypto.randomUUID()}`;
    await ground.shell(`ln -s ${of()} /v/way; mkdir -p /v${outside}; echo in >/v${outside}/inside`, [
      "-v",
      `${volume}:/v`,
    ]);
    const flags = ["--mount", `src=${volume},dst=/mnt,volume-subpath=way`];
    const { stdout, stderr, exitCode } = await ground.run([...flags, "attack", "sh", "-c", "ls /mnt; touch /mnt/mark"]);
    if (exitCode === 0) expect(stdout).toBe("inside\n");
    else expect(stderr).toContain("the source of a mount does not exist");
    hostsOwn();
  });

  test("volume-subpath of what becomes a link meanwhile stays in the volume", async () => {
    await using _swapper = await swapping("swapped", outside);
    let started = 0;
    for (let attempt = 0; attempt < 20; attempt++) {
      const flags = ["--mount", "src=swapped,dst=/mnt,volume-subpath=place/sub"];
      const outcome = await ground.run([...flags, "attack", "sh", "-c", "ls /mnt; touch /mnt/mark"]);
      expect(outcome.stdout).not.toContain("secret");
      if (outcome.exitCode === 0) started++;
    }
    hostsOwn();
    expect(started).toBeGreaterThan(0);
  });

  test("U of a volume in which directories become links gives nothing else away", async () => {
    await using _swapper = await swapping("given", outside);
    await ground.shell("for i in $(seq 300); do mkdir -p /v/$i/a; done", ["-v", "given:/v"]);
    for (let attempt = 0; attempt < 10; attempt++) {
      const { stderr, exitCode } = await ground.run(["-u", "65534", "-v", "given:/v:U", "attack", "true"]);
      expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
      hostsOwn();
    }
    expect(lstatSync(join(data("given"), "300/a")).uid).toBe(65534);
  });

  test("a directory of the host whose owner has prepared links is filled beside them", async () => {
    const device = join(ground.sandbox.directory, "device");
    mkdirSync(device);
    symlinkSync(outside, join(device, ".gocker-filling"));
    await ground.load("filled", { layers: [[{ name: "data/" }, { name: "data/file", content: "of the image\n" }]] });
    const options = ["type=none", "o=bind", `device=${device}`].flatMap((option) => ["-o", option]);
    await ground.gocker(["volume", "create", ...options, "prepared"]);
    expect(await ground.shell("ls -A /data", ["-v", "prepared:/data"], "filled")).toBe("file\n");
    expect(readFileSync(join(device, "file"), "utf8")).toBe("of the image\n");
    hostsOwn();
    await ground.gocker(["volume", "rm", "prepared"]);
    expect(existsSync(join(device, "file"))).toBe(true);
  });

  test("an image's place that is a link to the host gives an empty volume", async () => {
    await ground.load("linked", { layers: [[{ name: "data", type: "2", link: outside }]] });
    expect(await ground.shell("ls -A /data", ["-v", "linked:/data"], "linked")).toBe("");
    hostsOwn();
  });
});

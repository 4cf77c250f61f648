import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { AttackGround, Canary, canAttack } from "../helpers/attack.ts";
import { makeTar } from "../helpers/tar.ts";
import { until } from "../helpers/until.ts";

// `gocker cp` works with root's rights among files that a container controls. What is copied in may not land outside of
// it, what is copied out may not come from outside, and nothing of it may run.

let ground: AttackGround;
let outside: string;
let host: string;
let canary: Canary;
beforeAll(async () => {
  if (!canAttack) return;
  ground = await AttackGround.create();
  outside = join(ground.sandbox.directory, "outside");
  host = join(ground.sandbox.directory, "host");
  mkdirSync(join(outside, "sub"), { recursive: true });
  mkdirSync(join(host, "tree/sub"), { recursive: true });
  writeFileSync(join(host, "tree/planted"), "planted");
  writeFileSync(join(host, "tree/sub/planted"), "planted");
  canary = new Canary(outside, "canary");
});
afterAll(() => ground?.[Symbol.asyncDispose]());

const nothingOutside = () => {
  expect(readdirSync(outside, { recursive: true, encoding: "utf8" }).toSorted()).toEqual(["canary", "sub"]);
  expect(canary.isUntouched).toBe(true);
};

/** A container in the background, until it is disposed of. */
async function background(name: string, words: readonly string[]): Promise<AsyncDisposable> {
  const flags = ["-d", "--name", name, "--network", "none", "-v", `${name}:/v`];
  expect(await ground.gocker(["run", ...flags, "attack", ...words])).toMatchObject({ stderr: "", exitCode: 0 });
  return { [Symbol.asyncDispose]: async () => void (await ground.gocker(["rm", "-f", "-v", name])) };
}

const archive = makeTar([
  { name: "planted", content: "planted" },
  { name: "sub/planted", content: "planted" },
  { name: "sub/deeper/planted", content: "planted" },
]);

// CVE-2018-15664: docker resolved the path first, and used it afterwards.
describe.skipIf(!canAttack)("a directory that becomes a link while files are copied", () => {
  const targets: Record<string, () => string> = {
    "a directory of the host": () => outside,
    "a climbing path": () => `../../../../../../../../../..${outside}`,
    "the root of process 1": () => `/proc/1/root${outside}`,
    "an inherited descriptor": () => `/proc/self/cwd${outside}`,
  };
  for (const [target, of] of Object.entries(targets)) {
    test(`and leads to ${target} never leads out of the container`, async () => {
      const name = `swap-${target.replace(/\W/g, "-")}`;
      const plant = `mkdir -p /v/place/sub /v/tree; echo mine > /v/place/canary; ln -s ${of()} /v/trap; ln -s /v /v/tree/v`;
      expect((await ground.run(["-v", `${name}:/v`, "attack", "sh", "-c", plant])).exitCode).toBe(0);
      await using _victim = await background(name, ["/bin/system-calls", "swap", "/v/place", "/v/trap"]);
      const place = join(ground.sandbox.root, "volumes", name, "_data");
      let copied = 0;
      for (let attempt = 0; attempt < 8; attempt++) {
        const out = join(host, `${name}-${attempt}`);
        const outcomes = [
          await ground.gocker(["cp", join(host, "tree/planted"), `${name}:/v/place/planted`]),
          await ground.gocker(["cp", join(host, "tree/planted"), `${name}:/v/place/sub/planted`]),
          await ground.gocker(["cp", "-a", `${host}/tree/.`, `${name}:/v/place`]),
          await ground.gocker(["cp", "-", `${name}:/v/place`], { stdin: archive }),
          await ground.gocker(["cp", `${name}:/v/place/canary`, `${out}-file`]),
          await ground.gocker(["cp", "-L", `${name}:/v/place`, `${out}-followed`]),
          await ground.gocker(["cp", `${name}:/v`, `${out}-whole`]),
        ];
        for (const { exitCode } of outcomes) expect([0, 125]).toContain(exitCode);
        copied += outcomes.filter(({ exitCode }) => exitCode === 0).length;
        const { stdout } = await ground.gocker(["cp", "-L", `${name}:/v/place`, "-"]);
        expect(stdout).not.toContain(canary.secret);
        for (const file of [`${out}-file`, `${out}-followed/canary`]) {
          if (existsSync(file)) expect(readFileSync(file, "utf8")).toBe("mine\n");
        }
        nothingOutside();
      }
      // Where they went.
      expect(existsSync(place)).toBe(true);
      expect(copied).toBeGreaterThan(0);
    });
  }
});

describe.skipIf(!canAttack)("links that are there from the beginning", () => {
  test.each(["running", "stopped"])("lead nowhere out of a container that is %s", async (state) => {
    const name = `links-${state}`;
    const links = `ln -s ${outside} /v/out; ln -s ../../../../../..${outside} /v/up; ln -s ${outside}/new /v/dangling`;
    const script = state === "running" ? `${links}; touch /v/ready; exec sleep 1000` : links;
    await using _victim = await background(name, ["sh", "-c", script]);
    const volume = join(ground.sandbox.root, "volumes", name, "_data");
    if (state === "running") await until("the links are there", () => existsSync(join(volume, "ready")));
    else await ground.gocker(["wait", name]);
    for (const link of ["out", "up"]) {
      for (const target of [`/v/${link}/planted`, `/v/${link}/sub/planted`, `/v/${link}/`]) {
        const { exitCode } = await ground.gocker(["cp", join(host, "tree/planted"), `${name}:${target}`]);
        expect(exitCode).toBe(125);
      }
      expect((await ground.gocker(["cp", `${name}:/v/${link}/canary`, join(host, "taken")])).exitCode).toBe(125);
      expect((await ground.gocker(["cp", "-L", `${name}:/v/${link}`, join(host, "taken")])).exitCode).toBe(125);
      expect((await ground.gocker(["cp", "-", `${name}:/v/${link}`], { stdin: archive })).exitCode).toBe(125);
    }
    await ground.gocker(["cp", join(host, "tree/planted"), `${name}:/v/dangling`]);
    expect(existsSync(join(host, "taken"))).toBe(false);
    nothingOutside();
  });

  test("in an archive", async () => {
    await using _victim = await background("archived", ["sleep", "1000"]);
    for (const members of [
      [{ name: "../../../../../../v/x", content: "x" }],
      [{ name: "sub/../../x", content: "x" }],
      [
        { name: "link", type: "2", link: outside },
        { name: "link/planted", content: "x" },
      ],
      [{ name: "hard", type: "1", link: `../../../..${outside}/canary` }],
      [{ name: "hard", type: "1", link: `${outside}/canary` }],
    ]) {
      const { exitCode } = await ground.gocker(["cp", "-", "archived:/v"], { stdin: makeTar(members) });
      expect(exitCode).toBe(125);
    }
    nothingOutside();
  });
});

// CVE-2019-14271: docker-tar loaded libnss out of the container, as root and in the host's namespaces.
describe.skipIf(!canAttack)("programs and libraries of a container", () => {
  test("are not executed and not loaded by a copy", async () => {
    const marker = join(ground.sandbox.directory, "marker");
    const library = poisonedLibrary(marker);
    const poisoned = [
      ...["x86_64-linux-gnu/", "", "aarch64-linux-gnu/"].flatMap((directory) =>
        ["libnss_files.so.2", "libnss_compat.so.2", "libc.so.6", "libpthread.so.0"].map(
          (name) => `lib/${directory}${name}`,
        ),
      ),
      "lib64/ld-linux-x86-64.so.2",
      "evil.so",
    ].map((name) => ({ name, mode: 0o755, content: library }));
    const programs = ["bin/tar", "sbin/unpigz", "usr/bin/xz", "usr/bin/gzip"].map((name) => ({
      name,
      mode: 0o755,
      content: `#!/bin/sh\ntouch ${marker}\n`,
    }));
    await ground.load("poisoned", {
      layers: [
        [
          ...poisoned,
          ...programs,
          { name: "etc/ld.so.preload", content: "/evil.so\n" },
          { name: "etc/nsswitch.conf", content: "passwd: files\ngroup: files\n" },
        ],
      ],
    });
    // The library does what it should: this test can fail.
    const trap = join(host, "evil.so");
    writeFileSync(trap, library);
    Bun.spawnSync(["/bin/true"], { env: { LD_PRELOAD: trap } });
    expect(existsSync(marker)).toBe(true);
    rmSync(marker);

    for (const state of ["running", "stopped"]) {
      const words = ["run", "-d", "--name", state, "--network", "none", "poisoned"];
      await ground.gocker([...words, ...(state === "running" ? ["sleep", "1000"] : ["true"])]);
      if (state === "stopped") await ground.gocker(["wait", state]);
      const out = join(host, `poisoned-${state}`);
      for (const copy of [
        ["cp", "-a", `${state}:/etc`, out],
        ["cp", `${state}:/lib`, "-"],
        ["cp", "-a", `${host}/tree`, `${state}:/tmp`],
      ]) {
        expect(await ground.gocker(copy)).toMatchObject({ stderr: "", exitCode: 0 });
      }
      expect(await ground.gocker(["cp", "-", `${state}:/tmp`], { stdin: archive })).toMatchObject({
        stderr: "",
        exitCode: 0,
      });
      expect(existsSync(marker)).toBe(false);
      expect((await ground.gocker(["diff", state])).stdout).not.toContain("/marker");
      await ground.gocker(["rm", "-f", state]);
    }
  });
});

/** A shared library that makes a file when it is loaded. */
function poisonedLibrary(marker: string): Buffer {
  const [source, library] = [join(host, "evil.c"), join(host, "evil-made.so")];
  writeFileSync(
    source,
    `#include <fcntl.h>
     __attribute__((constructor)) static void loaded(void) {
       open(${JSON.stringify(marker)}, O_CREAT | O_WRONLY, 0644);
     }`,
  );
  const compiler = Bun.which("gcc") ?? Bun.which("cc") ?? "";
  const { exitCode, stderr } = Bun.spawnSync([compiler, "-shared", "-fPIC", "-o", library, source]);
  if (exitCode !== 0) throw new Error(`the compiler failed: ${stderr.toString()}`);
  return readFileSync(library);
}

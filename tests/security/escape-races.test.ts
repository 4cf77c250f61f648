import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { lstatSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { AttackGround, Canary, canAttack } from "../helpers/attack.ts";
import { gockerBinary } from "../helpers/binary.ts";

// CVE-2018-15664 and CVE-2021-30465: one container exchanges a directory of a shared volume for a link while another
// is started with a mount at that place. The path was looked up once to check it and once more to mount there.

let ground: AttackGround;
let outside: string;
let canary: Canary;
beforeAll(async () => {
  if (!canAttack) return;
  ground = await AttackGround.create();
  outside = join(ground.sandbox.directory, "outside");
  mkdirSync(join(outside, "sub"), { recursive: true });
  canary = new Canary(outside, "canary");
});
afterAll(() => ground?.[Symbol.asyncDispose]());

/** A container that exchanges two names in the volume `shared` until it is killed. */
function swapper(volume: string): AsyncDisposable {
  const child = Bun.spawn(
    [
      gockerBinary(),
      "run",
      "--rm",
      "--init",
      "--network",
      "none",
      "-v",
      `${volume}:/v`,
      "attack",
      "/bin/system-calls",
      "swap",
      "/v/place",
      "/v/trap",
    ],
    { env: { ...ground.sandbox.environment }, stdin: "ignore", stdout: "ignore", stderr: "ignore" },
  );
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.exited;
    },
  };
}

async function untilSwapping(place: string): Promise<void> {
  const kinds = new Set<boolean>();
  const deadline = performance.now() + 10_000;
  while (kinds.size < 2) {
    kinds.add(lstatSync(place).isSymbolicLink());
    if (performance.now() > deadline) throw new Error("nothing is exchanged");
    await Bun.sleep(0);
  }
}

const attempts = 15;
let startedInAll = 0;

describe.skipIf(!canAttack)("a directory that becomes a link while a container starts", () => {
  const targets: Record<string, () => string> = {
    "the host's root": () => "/",
    "a directory of the host": () => outside,
    "a climbing path": () => `../../../../../../../../../..${outside}`,
    "/proc": () => "/proc/sys/net",
    "the root of process 1": () => "/proc/1/root",
    "an inherited descriptor": () => "/proc/self/fd/3",
  };
  for (const [target, of] of Object.entries(targets)) {
    test(`and leads to ${target} never leads out of the container`, async () => {
      const volume = `swapped-${target.replace(/\W/g, "-")}`;
      const plant = `mkdir -p /v/place/sub; ln -s ${of()} /v/trap`;
      expect((await ground.run(["-v", `${volume}:/v`, "attack", "sh", "-c", plant])).exitCode).toBe(0);
      await using _swapper = swapper(volume);
      await untilSwapping(join(ground.sandbox.root, "volumes", volume, "_data/place"));
      let started = 0;
      for (let attempt = 0; attempt < attempts; attempt++) {
        // One mount in the way of the other, one that must be made, and a working directory that must be made too.
        const { stdout, exitCode } = await ground.run([
          "-v",
          `${volume}:/v`,
          "--tmpfs",
          "/v/place/sub",
          "-v",
          "mine:/v/place/made",
          "-w",
          "/v/place/work",
          "attack",
          "sh",
          "-c",
          `cat ${canary.path} /proc/sys/net/ipv4/ip_unprivileged_port_start; ls ${outside} 2>/dev/null`,
        ]);
        expect(stdout).not.toContain(canary.secret);
        expect([0, 1, 125]).toContain(exitCode);
        // The kernel's own answer, whatever was mounted.
        if (exitCode !== 125) expect(stdout).toMatch(/^0\n/);
        if (exitCode !== 125) started++;
        expect(readdirSync(outside).toSorted()).toEqual(["canary", "sub"]);
        expect(ground.sandbox.mounts()).toEqual([]);
      }
      expect(canary.isUntouched).toBe(true);
      startedInAll += started;
    });
  }

  test("was tried on containers that did start", () => {
    expect(startedInAll).toBeGreaterThan(0);
  });
});

describe.skipIf(!canAttack)("a volume that is changed while it is filled", () => {
  test("leads no file of the image out of it", async () => {
    await ground.load("filling", {
      layers: [
        Array.from({ length: 200 }, (_, index) => ({ name: `data/place/file${index}`, content: "of the image" })),
      ],
    });
    const plant = `mkdir -p /v/place; ln -s ${outside} /v/trap`;
    expect((await ground.run(["-v", "filled:/v", "attack", "sh", "-c", plant])).exitCode).toBe(0);
    await using _swapper = swapper("filled");
    await untilSwapping(join(ground.sandbox.root, "volumes/filled/_data/place"));
    for (let attempt = 0; attempt < 10; attempt++) await ground.run(["-v", "filled:/data", "filling", "true"]);
    expect(readdirSync(outside).toSorted()).toEqual(["canary", "sub"]);
  });
});

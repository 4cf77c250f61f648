import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, lstatSync, readFileSync } from "node:fs";

import { AttackGround, canAttack } from "../helpers/attack.ts";
import { gockerBinary } from "../helpers/binary.ts";
import { until } from "../helpers/until.ts";

// CVE-2016-9962, CVE-2019-5736 and CVE-2024-21626 by `gocker exec`: a process that comes into a container which is hostile
// by then, and watches.

let ground: AttackGround;
beforeAll(async () => {
  if (canAttack) ground = await AttackGround.create();
});
afterAll(() => ground?.[Symbol.asyncDispose]());

const secret = "secret-of-the-caller";

/** A container that runs a script; it is ended by disposal. */
async function startContainer(name: string, script: string, flags: readonly string[] = []) {
  const words = [
    "run",
    "--rm",
    "--network",
    "none",
    "--name",
    name,
    ...flags,
    "attack",
    "sh",
    "-c",
    `trap "exit 0" TERM; ${script}`,
  ];
  const child = Bun.spawn([gockerBinary(), ...words], {
    env: { ...ground.sandbox.environment },
    stdio: ["ignore", "ignore", "ignore"],
  });
  await until("it runs", async () => (await ground.gocker(["exec", name, "test", "-e", "/tmp/ready"])).exitCode === 0);
  return {
    exec: (...more: string[]) => ground.gocker(["exec", ...more], { env: { SECRET: secret } }),
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.exited;
    },
  };
}

/** All that a process of the container can see of the others, over and over. */
const watch =
  "while :; do ls -l /proc/[0-9]*/exe /proc/[0-9]*/cwd /proc/[0-9]*/root /proc/[0-9]*/fd/; cat /proc/[0-9]*/environ " +
  "/proc/[0-9]*/maps; touch /tmp/ready; done > /tmp/seen 2>/dev/null";

describe.skipIf(!canAttack)("a process that comes in", () => {
  for (const [way, flags] of Object.entries({
    plainly: ["-i"],
    "as another user": ["-u", "nobody"],
    "with a terminal": ["-t"],
    "with all capabilities": ["--privileged"],
  })) {
    test(`shows nothing of gocker to the container's: ${way}`, async () => {
      await using container = await startContainer("watching", watch);
      for (let round = 0; round < 25; round++) {
        expect((await container.exec(...flags, "watching", "true")).exitCode).toBe(0);
      }
      const { stdout: seen } = await container.exec("watching", "cat", "/tmp/seen");
      // The watcher has seen itself and process 1, at least.
      expect(seen).toContain("/bin/busybox");
      const foreign = [secret, "GOCKER_", gockerBinary(), ground.sandbox.directory, "memfd:", "socket:", "anon_inode:"];
      expect(foreign.filter((word) => seen.includes(word))).toEqual([]);
    });
  }

  test("has three descriptors, and a place in the container's tree", async () => {
    await using container = await startContainer("quiet", "touch /tmp/ready; sleep 1000 & wait");
    const script =
      "for fd in /proc/self/fd/* /proc/$$/fd/*; do readlink $fd >/dev/null && echo ${fd##*/}; done; " +
      "for link in exe cwd root; do readlink /proc/$$/$link; done; ls -d /proc/self/cwd/../../../../bin";
    for (const flags of [[], ["-i"], ["-t"], ["-u", "65534"], ["--privileged"]]) {
      const { stdout, exitCode } = await container.exec(...flags, "quiet", "sh", "-c", script);
      expect(exitCode).toBe(0);
      const lines = stdout.trim().split(/\r?\n/);
      const links = lines.splice(-4);
      expect(links).toEqual(["/bin/busybox", "/", "/", "/proc/self/cwd/../../../../bin"]);
      expect(new Set(lines.map(Number))).toEqual(new Set([0, 1, 2]));
    }
  });

  test("cannot be made to execute gocker's file", async () => {
    const fingerprint = () => {
      const { ino, mode, size, mtimeMs } = lstatSync(gockerBinary());
      return { ino, mode, size, mtimeMs, hash: Bun.hash(readFileSync(gockerBinary())) };
    };
    const before = fingerprint();
    const prepare =
      "printf '#!/proc/self/exe\\n' > /tmp/script; chmod 755 /tmp/script; ln -s /proc/self/exe /tmp/link; touch /tmp/ready; sleep 1000 & wait";
    await using container = await startContainer("selfish", prepare);
    for (const program of ["/proc/self/exe", "/tmp/script", "/tmp/link"]) {
      const { stdout, exitCode } = await container.exec("selfish", program, "--version");
      expect(stdout).toBe("");
      expect(exitCode).not.toBe(0);
    }
    expect(
      (await container.exec("selfish", "sh", "-c", ": > /proc/self/exe; cat /proc/1/exe > /tmp/copy")).stdout,
    ).toBe("");
    expect(fingerprint()).toEqual(before);
  });

  test("does not begin where a descriptor or a link of the kernel's leads", async () => {
    await using container = await startContainer(
      "placed",
      "ln -s /proc/self/fd/7 /tmp/up; touch /tmp/ready; sleep 1000 & wait",
    );
    const places =
      "/proc/self/fd/3 /proc/self/fd/7 /proc/1/root /proc/self/cwd /proc/1/task/1/cwd/etc /dev/fd/7 /tmp/up";
    for (const place of places.split(" ")) {
      const { stdout, exitCode } = await container.exec("-w", place, "placed", "ls", "-a");
      expect({ place, stdout, exitCode }).toEqual({ place, stdout: "", exitCode: 125 });
    }
  });

  test("gets files of the host's as pipes: it can neither change nor open them", async () => {
    await using container = await startContainer("given", "touch /tmp/ready; sleep 1000 & wait");
    const place = `${ground.sandbox.directory}/given`;
    await Bun.write(place, "from the host\n");
    const script =
      "cat; for fd in 0 1 2; do : > /proc/self/fd/$fd; chmod 777 /proc/self/fd/$fd; chown 7 /proc/self/fd/$fd; done 2>/dev/null";
    const child = Bun.spawn(
      ["sh", "-c", `"$0" exec -i given sh -c "$1" <${place} >${place}.out`, gockerBinary(), script],
      {
        env: { PATH: "/usr/bin:/bin", ...ground.sandbox.environment },
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    await child.exited;
    expect(readFileSync(place, "utf8")).toBe("from the host\n");
    expect(readFileSync(`${place}.out`, "utf8")).toBe("from the host\n");
    for (const file of [place, `${place}.out`]) expect(lstatSync(file)).toMatchObject({ uid: 0, mode: 0o100644 });
    expect(existsSync(`${place}.other`)).toBe(false);
    void container;
  });
});

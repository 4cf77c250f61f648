import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { lstatSync, readFileSync } from "node:fs";

import { AttackGround, type Call, callResults, callWords, canAttack } from "../helpers/attack.ts";
import { gockerBinary } from "../helpers/binary.ts";
import type { TarMemberInput } from "../helpers/tar.ts";

// CVE-2019-5736: the runtime's own file was open in the container as /proc/self/exe, and could be overwritten there.

let ground: AttackGround;
let before: string;
beforeAll(async () => {
  if (!canAttack) return;
  ground = await AttackGround.create();
  before = fingerprint();
});
afterAll(() => ground?.[Symbol.asyncDispose]());

/** The host's binary: what it is, and what is in it. */
function fingerprint(): string {
  const { ino, mode, uid, gid, size, mtimeMs } = lstatSync(gockerBinary());
  const hash = new Bun.CryptoHasher("sha256").update(readFileSync(gockerBinary())).digest("hex");
  return JSON.stringify({ ino, mode, uid, gid, size, mtimeMs, hash });
}

const writeOnly = 1;
const readWrite = 2;
const pathOnly = 0o10000000;

/** An entrypoint that leads back to whatever is executing it. */
const selfExecuting: Record<string, { config: Record<string, unknown>; files: TarMemberInput[] }> = {
  "/proc/self/exe": { config: { Entrypoint: ["/proc/self/exe"] }, files: [] },
  "/proc/1/exe": { config: { Entrypoint: ["/proc/1/exe"] }, files: [] },
  "a script with #!/proc/self/exe": {
    config: { Entrypoint: ["/entry"] },
    files: [{ name: "entry", mode: 0o755, content: "#!/proc/self/exe\n" }],
  },
  "a link to /proc/self/exe": {
    config: { Entrypoint: ["/entry"] },
    files: [{ name: "entry", type: "2", link: "/proc/self/exe" }],
  },
  "a script with #!/proc/thread-self/exe run": {
    config: { Entrypoint: ["/entry"], Cmd: ["run", "x"] },
    files: [{ name: "entry", mode: 0o755, content: "#!/proc/thread-self/exe run\n" }],
  },
};

describe.skipIf(!canAttack)("gocker's own file", () => {
  for (const [entrypoint, { config, files }] of Object.entries(selfExecuting)) {
    for (const init of [false, true]) {
      test(`is not what ${entrypoint} executes${init ? ", with --init" : ""}`, async () => {
        await ground.load("self-executing", { layers: [files], config });
        const { stdout, exitCode } = await ground.run([...(init ? ["--init"] : []), "self-executing"]);
        // It is the stub, whose plan fails at its first step in a process without gocker's rights and files.
        expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 127 });
        expect(fingerprint()).toBe(before);
      });
    }
  }

  test("cannot be reached by process 1 of a container without --init", async () => {
    expect(await ground.shell("readlink /proc/self/exe; readlink /proc/1/exe")).toBe("/bin/busybox\n/bin/busybox\n");
  });

  test("is not process 1 of a container with --init: that is a sealed file in memory", async () => {
    const script =
      "readlink /proc/1/exe; stat -Lc %s /proc/1/exe; (: > /proc/1/exe) 2>&1; (echo x >> /proc/1/exe) 2>&1; :";
    const [name, size, ...refusals] = (await ground.shell(script, ["--init"])).trimEnd().split("\n");
    expect(name).toBe("/memfd:gocker (deleted)");
    expect(Number(size)).toBeLessThan(300_000);
    expect(lstatSync(gockerBinary()).size).toBeGreaterThan(1_000_000);
    expect(refusals).toEqual(Array(2).fill("sh: can't create /proc/1/exe: Text file busy"));
    expect(fingerprint()).toBe(before);
  });

  test("the file in memory stays as it is when nobody executes it any more", async () => {
    // An exploit keeps the file open by O_PATH until the runtime has gone, and opens it for writing then.
    const [opened, reopened, written, cut, sealed] = await ground.calls(
      [
        ["openat", -100, "/proc/1/exe", 0],
        ["openat", -100, "/proc/1/exe", readWrite],
        ["pwrite64", { resultOf: 0 }, "x", 1, 0],
        ["ftruncate", { resultOf: 0 }, 0],
        ["fcntl", { resultOf: 0 }, 1034 /* F_GET_SEALS */, 0],
      ],
      ["--init"],
    );
    expect([opened, reopened, written, cut]).toEqual(["3", "ETXTBSY", "EBADF", "EINVAL"]);
    // F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE.
    expect(Number(sealed) & 0xf).toBe(0xf);
  });

  test("is nowhere among the files that a container has open or mapped", async () => {
    const calls: Call[] = [["openat", -100, "/proc/self/exe", pathOnly]];
    for (const flags of [[], ["--init"], ["-u", "65534"]]) {
      const words = callWords(calls);
      const { stdout } = await ground.run([
        ...flags,
        "attack",
        "sh",
        "-c",
        `ls -l /proc/*/exe /proc/*/fd /proc/*/cwd /proc/*/root 2>/dev/null; cat /proc/*/maps 2>/dev/null; ${words.join(" ")}`,
      ]);
      expect(stdout).not.toContain(gockerBinary());
      expect(stdout).not.toContain(ground.sandbox.directory);
      expect(callResults(stdout).at(-1)).toBe("3");
    }
    expect(fingerprint()).toBe(before);
  });
});

describe.skipIf(!canAttack)("writing", () => {
  test("to what executes is refused by the kernel", async () => {
    const [own] = await ground.calls([["openat", -100, "/proc/self/exe", writeOnly]]);
    expect(own).toBe("ETXTBSY");
  });
});
